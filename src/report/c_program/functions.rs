//! The C functions a program may call, and how each is reached: through a volatile pointer, so that no compiler knows
//! what it does.

use crate::report::commands::is_linked;
use crate::run::verdict::SubjectInfo;

/// A C function of the interface.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Function {
    name: &'static str,
    result: &'static str,
    parameters: &'static str,
}

const fn function(name: &'static str, result: &'static str, parameters: &'static str) -> Function {
    Function {
        name,
        result,
        parameters,
    }
}

const FUNCTIONS: &[Function] = &[
    function("malloc", "void *", "size_t"),
    function("calloc", "void *", "size_t, size_t"),
    function("realloc", "void *", "void *, size_t"),
    function("reallocarray", "void *", "void *, size_t, size_t"),
    function("reallocf", "void *", "void *, size_t"),
    function("recallocarray", "void *", "void *, size_t, size_t, size_t"),
    function("free", "void ", "void *"),
    function("freezero", "void ", "void *, size_t"),
    function("free_sized", "void ", "void *, size_t"),
    function("free_aligned_sized", "void ", "void *, size_t, size_t"),
    function("aligned_alloc", "void *", "size_t, size_t"),
    function("posix_memalign", "int ", "void **, size_t, size_t"),
    function("memalign", "void *", "size_t, size_t"),
    function("valloc", "void *", "size_t"),
    function("pvalloc", "void *", "size_t"),
    function("malloc_usable_size", "size_t ", "void *"),
    function("_Znwm", "void *", "size_t"),
    function("_Znam", "void *", "size_t"),
    function("_ZnwmRKSt9nothrow_t", "void *", "size_t, const void *"),
    function("_ZnamRKSt9nothrow_t", "void *", "size_t, const void *"),
    function("_ZnwmSt11align_val_t", "void *", "size_t, size_t"),
    function("_ZnamSt11align_val_t", "void *", "size_t, size_t"),
    function(
        "_ZnwmSt11align_val_tRKSt9nothrow_t",
        "void *",
        "size_t, size_t, const void *",
    ),
    function(
        "_ZnamSt11align_val_tRKSt9nothrow_t",
        "void *",
        "size_t, size_t, const void *",
    ),
    function("_ZdlPv", "void ", "void *"),
    function("_ZdaPv", "void ", "void *"),
    function("_ZdlPvm", "void ", "void *, size_t"),
    function("_ZdaPvm", "void ", "void *, size_t"),
    function("_ZdlPvRKSt9nothrow_t", "void ", "void *, const void *"),
    function("_ZdaPvRKSt9nothrow_t", "void ", "void *, const void *"),
    function("_ZdlPvSt11align_val_t", "void ", "void *, size_t"),
    function("_ZdaPvSt11align_val_t", "void ", "void *, size_t"),
    function("_ZdlPvmSt11align_val_t", "void ", "void *, size_t, size_t"),
    function("_ZdaPvmSt11align_val_t", "void ", "void *, size_t, size_t"),
    function(
        "_ZdlPvSt11align_val_tRKSt9nothrow_t",
        "void ",
        "void *, size_t, const void *",
    ),
    function(
        "_ZdaPvSt11align_val_tRKSt9nothrow_t",
        "void ",
        "void *, size_t, const void *",
    ),
    function("malloc_trim", "int ", "size_t"),
];

impl Function {
    /// The function of this C name.
    pub fn named(name: &str) -> Option<Function> {
        FUNCTIONS
            .iter()
            .copied()
            .find(|function| function.name == name)
    }

    /// Whether C libraries still in use lack it, so that a program cannot simply refer to it.
    fn is_new(self) -> bool {
        let of_c = [
            "free_sized",
            "free_aligned_sized",
            "reallocf",
            "recallocarray",
            "freezero",
        ];
        of_c.contains(&self.name) || self.name.starts_with("_Z")
    }

    /// Whether it must be looked up when the program starts.
    pub fn is_looked_up(self, subject: &SubjectInfo) -> bool {
        self.is_new() && !is_linked(subject)
    }

    /// The header that declares it.
    pub fn header(self) -> Option<&'static str> {
        match self.name {
            "memalign" | "valloc" | "pvalloc" | "malloc_usable_size" | "malloc_trim" => {
                Some("malloc.h")
            }
            _ => None,
        }
    }

    /// The declaration of the pointer through which it is called, and of the function itself if no header has it.
    pub fn declaration(self, subject: &SubjectInfo) -> String {
        let Function {
            name,
            result,
            parameters,
        } = self;
        let pointer = format!("static {result}(*volatile {name}_)({parameters})");
        if self.is_looked_up(subject) {
            return format!("{pointer};\n");
        }
        let symbol = symbol(subject, name);
        if symbol == name && !self.is_new() {
            format!("{pointer} = {symbol};\n")
        } else {
            format!("extern {result}{symbol}({parameters});\n{pointer} = {symbol};\n")
        }
    }

    /// The statement that looks it up.
    pub fn lookup(self) -> String {
        let Function {
            name,
            result,
            parameters,
        } = self;
        format!("{name}_ = ({result}(*)({parameters}))dlsym(RTLD_DEFAULT, \"{name}\");")
    }

    /// The statement that ends the program if it was not found.
    pub fn demand(self) -> String {
        format!(
            "if ({0}_ == NULL) not_shown();   /* nobody provides {0} */",
            self.name
        )
    }
}

fn symbol<'a>(subject: &'a SubjectInfo, name: &'a str) -> &'a str {
    subject
        .entry_points
        .iter()
        .find(|point| point.name == name)
        .map_or(name, |point| &point.symbol)
}
