//! Which object provides an entry point.
//!
//! A lookup by name finds any object that has the name: a library that lacks `aligned_alloc` silently yields that of
//! the C library, whose blocks the library must never see. So every address found is asked where it lies, and only
//! those that lie in the subject are called.

use crate::program::Call;
use crate::run::protocol::{FileId, Found};
use crate::subject::{Native, Subject};
use std::ffi::{CStr, CString, c_void};
use std::os::unix::fs::MetadataExt;

/// The entry points of a subject that is part of this program.
pub fn built_in(subject: &impl Subject) -> Vec<Found> {
    let provided = |name: &&&str| {
        Call::ALL
            .iter()
            .any(|call| call.entry_point() == Some(**name) && subject.provides(*call))
    };
    let found = |&name: &&str| Found {
        name: name.to_owned(),
        symbol: name.to_owned(),
        object: None,
        own: true,
    };
    Native::NAMES.iter().filter(provided).map(found).collect()
}

/// The entry points that the dynamic linker finds. They are the subject's if they lie in `file`; without one, if they
/// lie in the C library.
pub fn linked(file: Option<&FileId>, symbols: &[(String, String)]) -> (Native, Vec<Found>) {
    find(libc::RTLD_DEFAULT, symbols, |object| match file {
        Some(file) => object.file() == Some(*file),
        None => Some(object.base) == c_library_base(),
    })
}

/// The C library of this process, with all the entry points it has.
pub fn c_library() -> Native {
    let symbols: Vec<(String, String)> = Native::NAMES
        .iter()
        .map(|&name| (name.to_owned(), name.to_owned()))
        .collect();
    linked(None, &symbols).0
}

/// Opens a library and finds its entry points.
///
/// # Errors
///
/// What the dynamic linker says.
pub fn opened(
    path: &str,
    file: &FileId,
    symbols: &[(String, String)],
) -> Result<(Native, Vec<Found>), String> {
    let name = CString::new(path).map_err(|error| error.to_string())?;
    // Its own calls among the family must reach itself, not the C library: hence RTLD_DEEPBIND.
    let flags = libc::RTLD_NOW | libc::RTLD_LOCAL | libc::RTLD_DEEPBIND;
    // SAFETY: runs the library's constructors, in a process made for that.
    let handle = unsafe { libc::dlopen(name.as_ptr(), flags) };
    if handle.is_null() {
        // SAFETY: after a failure there is a message, a C string.
        let message = unsafe { CStr::from_ptr(libc::dlerror()) };
        return Err(message.to_string_lossy().into_owned());
    }
    Ok(find(handle, symbols, |object| object.file() == Some(*file)))
}

fn find(
    handle: *mut c_void,
    symbols: &[(String, String)],
    is_own: impl Fn(&Object) -> bool,
) -> (Native, Vec<Found>) {
    let mut native = Native::default();
    let mut found = Vec::with_capacity(symbols.len());
    for (name, symbol) in symbols {
        let Ok(c_symbol) = CString::new(symbol.as_str()) else {
            continue;
        };
        // SAFETY: the handle is open; the name is a C string.
        let address = unsafe { libc::dlsym(handle, c_symbol.as_ptr()) };
        let object = Object::of(address);
        let own = object.as_ref().is_some_and(&is_own);
        if own {
            // SAFETY: a library that exports a C library's name, or that was mapped to it, gives it that type.
            unsafe { native.set(name, address) };
        }
        let object = object.map(|object| object.path);
        found.push(Found {
            name: name.clone(),
            symbol: symbol.clone(),
            object,
            own,
        });
    }
    native.find_runtime(handle);
    (native, found)
}

/// A loaded object.
struct Object {
    path: String,
    base: usize,
}

impl Object {
    /// The object that an address lies in.
    fn of(address: *mut c_void) -> Option<Object> {
        if address.is_null() {
            return None;
        }
        // SAFETY: the structure is ours; the name in it is a C string while the object is loaded.
        unsafe {
            let mut info: libc::Dl_info = std::mem::zeroed();
            if libc::dladdr(address, &raw mut info) == 0 || info.dli_fname.is_null() {
                return None;
            }
            let path = CStr::from_ptr(info.dli_fname)
                .to_string_lossy()
                .into_owned();
            Some(Object {
                path,
                base: info.dli_fbase.addr(),
            })
        }
    }

    fn file(&self) -> Option<FileId> {
        let metadata = std::fs::metadata(&self.path).ok()?;
        Some(FileId {
            device: metadata.dev(),
            inode: metadata.ino(),
        })
    }
}

/// Where the C library is loaded.
fn c_library_base() -> Option<usize> {
    Object::of(libc::gnu_get_libc_version as *mut c_void).map(|object| object.base)
}
