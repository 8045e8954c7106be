//! From what the user named to a worker that has it, or to one line that says why not.

use super::library::{exports, loadable, preloadable};
use super::python;
use super::{Launch, StartError, Worker};
use crate::program::Call;
use crate::pymalloc::{Domain, Edition, UnknownEdition, Version};
use crate::run::process;
use crate::run::protocol::{Carrier, FileId, Found, Hello};
use crate::run::verdict::{EntryPoint, Provider, SubjectInfo};
use crate::run::{CheckError, Names, SubjectSpec};
use crate::shadow::Death;
use crate::subject::Native;
use crate::subject::interpreter;
use crate::subject::mutants::Mutant;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::time::Duration;

/// Bytes of address space that a worker reserves, and room for what it runs.
const ADDRESS_SPACE: u64 = 4 << 30;

/// A subject that workers can be started for.
pub struct Launched {
    /// How to start workers.
    pub launch: Launch,
    /// What is known of the subject.
    pub info: SubjectInfo,
    /// How it is like CPython's allocator, if it is.
    pub kin: Option<Kin>,
    /// A first worker.
    pub worker: Worker,
    /// What the subject wrote while it was loaded.
    pub said: String,
}

/// How a subject is like CPython's allocator.
#[derive(Clone, Debug)]
pub struct Kin {
    /// The edition of CPython that it is like.
    pub edition: Edition,
    /// Why what it asks of its sources cannot be seen, unless it can.
    pub hidden: Option<String>,
    /// Whether small blocks come from pools, with nothing in between.
    pub pools: bool,
    /// Whether it says how many blocks are live.
    pub counts: bool,
    /// Whether it was used before anything could be asked of it.
    pub used: bool,
    /// Whether what is freed serves others only at points that code in C does not come to by itself.
    pub deferred: bool,
}

/// How subjects of this kind are like CPython's allocator. What an interpreter is like is known once it runs.
pub fn kin(subject: &SubjectSpec) -> Option<Kin> {
    let edition = match subject {
        SubjectSpec::Reference(edition) => Some(*edition),
        SubjectSpec::Mutant(name) => Mutant::named(name)
            .is_some_and(Mutant::is_of_reference)
            .then_some(Edition::USUAL),
        SubjectSpec::System | SubjectSpec::Library { .. } | SubjectSpec::Interpreter { .. } => None,
    };
    edition.map(|edition| Kin {
        edition,
        hidden: None,
        pools: true,
        counts: true,
        used: false,
        deferred: false,
    })
}

/// Starts a first worker for the subject.
///
/// # Errors
///
/// When the subject cannot be used; the message says why and what to do.
pub fn launch(subject: &SubjectSpec, patience: Duration) -> Result<Launched, CheckError> {
    if !Path::new("/proc/self/exe").exists() {
        return Err(CheckError::NoProc);
    }
    require_address_space()?;
    let built_in = |name: &str, carrier| Launch {
        name: name.into(),
        carrier,
        preload: None,
        python: None,
        noisy: false,
        env: Vec::new(),
        patience,
    };
    let mut launched = match subject {
        SubjectSpec::Reference(edition) => {
            let usual = *edition == Edition::USUAL;
            let arguments = match usual {
                true => "reference".into(),
                false => format!("reference --layout {edition}"),
            };
            let mut info = info("reference", "reference", None, arguments);
            let layout = edition.build.layout();
            info.notes.extend(
                (!usual).then(|| format!("layout {layout}, as CPython {} has it", edition.version)),
            );
            start(
                built_in("reference", Carrier::Reference(edition.to_string())),
                info,
            )
        }
        SubjectSpec::System => {
            let symbols = plain_symbols();
            let info = info("system", "system", None, "system".into());
            start(
                built_in(
                    "system",
                    Carrier::Linked {
                        file: None,
                        symbols,
                    },
                ),
                info,
            )
        }
        SubjectSpec::Mutant(name) => {
            if Mutant::named(name).is_none() {
                return Err(CheckError::UnknownMutant { name: name.clone() });
            }
            let argument = format!("mutant:{name}");
            start(
                built_in(&argument, Carrier::Mutant(name.clone())),
                info("mutant", &argument, None, argument.clone()),
            )
        }
        SubjectSpec::Library { path, names, env } => library(path, names, env, patience),
        SubjectSpec::Interpreter {
            python,
            domain,
            malloc,
        } => return interpreter(python, *domain, malloc.as_deref(), patience),
    }?;
    launched.kin = kin(subject);
    Ok(launched)
}

/// The family of functions of an interpreter, which has chosen its allocators by itself or is told to use these.
fn interpreter(
    python: &Path,
    domain: Domain,
    malloc: Option<&str>,
    patience: Duration,
) -> Result<Launched, CheckError> {
    let environment = malloc.map(|malloc| ("PYTHONMALLOC".to_owned(), malloc.to_owned()));
    let launch = Launch {
        name: python.to_owned(),
        carrier: Carrier::Interpreter {
            domain: interpreter::name_of(domain).into(),
        },
        preload: None,
        python: Some(python.to_owned()),
        noisy: false,
        env: environment.into_iter().collect(),
        patience,
    };
    let unusable = |reason| CheckError::Interpreter {
        python: python.to_owned(),
        reason,
    };
    let (worker, hello, _) = Worker::start(&launch).map_err(|error| match error {
        StartError::Refused(error) => unusable(format!("it cannot be started: {error}")),
        StartError::NotOpened(reason) => unusable(reason),
        StartError::Died(death, said) => unusable(match python::last_words(&said) {
            Some((own, true)) => shortened(own),
            Some((line, false)) => format!("{}: {}", how(death), shortened(line)),
            None => format!("{}: is it a Python interpreter?", how(death)),
        }),
    })?;
    if let Hello::NotOpened(reason) = hello {
        return Err(unusable(reason));
    }
    let Hello::Interpreter {
        edition,
        found,
        hidden,
        pools,
        counts,
        free_threaded,
    } = hello
    else {
        return Err(CheckError::Internal(
            "a worker in an interpreter took it for a library".into(),
        ));
    };
    let edition: Edition = edition
        .parse()
        .map_err(|error: UnknownEdition| CheckError::Internal(error.to_string()))?;
    if malloc.is_some() && edition.version < Version(3, 6, 0) {
        let version = edition.version;
        return Err(unusable(format!(
            "CPython {version} does not listen to PYTHONMALLOC: leave --malloc out"
        )));
    }
    let mut arguments = format!("--python {}", quoted(&python.display().to_string()));
    if domain != Domain::Object {
        arguments.push_str(&format!(" --domain {}", interpreter::name_of(domain)));
    }
    if let Some(malloc) = malloc {
        arguments.push_str(&format!(" --malloc {}", quoted(malloc)));
    }
    let mut info = info(
        "interpreter",
        &python.display().to_string(),
        Some(python.to_owned()),
        arguments,
    );
    info.environment = launch.env.clone();
    info.entry_points = found.iter().filter_map(entry_point).collect();
    info.notes.push(format!(
        "CPython {}{}, {}*{}",
        edition.version,
        if free_threaded {
            " (free-threaded)"
        } else {
            ""
        },
        interpreter::prefix(domain),
        match &hidden {
            None => format!(", layout {}", edition.build.layout()),
            Some(reason) => format!("; {reason}"),
        }
    ));
    Ok(Launched {
        launch,
        info,
        kin: Some(Kin {
            edition,
            hidden,
            pools,
            counts,
            used: true,
            deferred: free_threaded && domain != Domain::Raw,
        }),
        worker,
        said: String::new(),
    })
}

/// A line that is not of ours.
fn shortened(line: &str) -> String {
    const TOLD: usize = 300;
    line.chars().take(TOLD).collect()
}

/// Where memory is limited to less than a worker reserves, the harness itself would run out of it sooner or later.
fn require_address_space() -> Result<(), CheckError> {
    let limit = process::mapping_limit();
    if limit >= ADDRESS_SPACE {
        return Ok(());
    }
    Err(CheckError::Resources {
        what: "address space",
        reason: format!(
            "it is limited to {} KiB, and a worker needs {} KiB",
            limit >> 10,
            ADDRESS_SPACE >> 10
        ),
    })
}

pub fn info(
    kind: &'static str,
    name: &str,
    path: Option<PathBuf>,
    arguments: String,
) -> SubjectInfo {
    SubjectInfo {
        kind,
        name: name.to_owned(),
        path,
        arguments,
        environment: Vec::new(),
        entry_points: Vec::new(),
        notes: Vec::new(),
    }
}

/// What BSD adds.
const OF_BSD: [&str; 3] = ["reallocf", "recallocarray", "freezero"];

/// Whether a C++ operator has this name.
fn is_operator(symbol: &str) -> bool {
    Call::of_symbol(symbol).is_some()
}

pub fn plain_symbols() -> Vec<(String, String)> {
    Native::NAMES
        .iter()
        .map(|&name| (name.to_owned(), name.to_owned()))
        .collect()
}

fn library(
    path: &Path,
    names: &Names,
    env: &[(String, String)],
    patience: Duration,
) -> Result<Launched, CheckError> {
    let Located {
        full,
        file,
        symbols,
    } = locate(path, names)?;
    let linked = |symbols| Launch {
        name: path.to_owned(),
        carrier: Carrier::Linked {
            file: Some(file),
            symbols,
        },
        preload: Some(full.clone()),
        python: None,
        noisy: false,
        env: env.to_vec(),
        patience,
    };
    let arguments = arguments(path, names, env);
    let name = path.display().to_string();
    if *names == Names::Plain {
        preloadable(&full)?;
        let mut subject = info("preload", &name, Some(path.to_owned()), arguments);
        subject.environment = env.to_vec();
        return start(linked(symbols), subject);
    }
    let opened = Launch {
        carrier: Carrier::Opened {
            path: full.to_string_lossy().into_owned(),
            file,
            symbols: symbols.clone(),
        },
        preload: None,
        ..linked(Vec::new())
    };
    let mut subject = info("dlopen", &name, Some(path.to_owned()), arguments);
    subject.environment = env.to_vec();
    match Worker::start(&opened) {
        Ok((worker, Hello::Ready(found), said)) => finish(opened, subject, worker, &found, said),
        Err(StartError::NotOpened(reason)) => {
            preloadable(&full).map_err(|_| refused(path, StartError::NotOpened(reason.clone())))?;
            let mut launched = start(
                linked(symbols),
                SubjectInfo {
                    kind: "preload",
                    ..subject
                },
            )?;
            launched
                .info
                .notes
                .push(format!("dlopen refused it ({reason}); preloaded instead"));
            Ok(launched)
        }
        Err(error) => Err(refused(path, error)),
        Ok((_, Hello::NotOpened(reason), _)) => Err(refused(path, StartError::NotOpened(reason))),
        Ok((_, Hello::Interpreter { .. }, _)) => Err(misled()),
    }
}

/// A library that can be loaded.
pub struct Located {
    /// The path as the dynamic linker takes it.
    pub full: PathBuf,
    /// The file that must provide the symbols.
    pub file: FileId,
    /// C names and the symbols looked up for them.
    pub symbols: Vec<(String, String)>,
}

/// Looks at a library before it is loaded.
///
/// # Errors
///
/// When it cannot be, or lacks what everything is checked with.
pub fn locate(path: &Path, names: &Names) -> Result<Located, CheckError> {
    let exported = exports(path)?;
    let full = loadable(path)?;
    let metadata = std::fs::metadata(&full).map_err(|error| CheckError::Unreadable {
        path: path.to_owned(),
        reason: error.to_string(),
    })?;
    let file = FileId {
        device: metadata.dev(),
        inode: metadata.ino(),
    };
    let exports_operators = exported.iter().any(|symbol| is_operator(symbol));
    let symbols = match names {
        // A lookup in vain allocates: names that few libraries have are looked up in those.
        Names::Plain => plain_symbols()
            .into_iter()
            .filter(|(name, _)| match is_operator(name) {
                true => exports_operators,
                false => !OF_BSD.contains(&name.as_str()) || exported.contains(name),
            })
            .collect(),
        // Operators have no names that could have a prefix.
        Names::Prefix(prefix) => plain_symbols()
            .into_iter()
            .filter(|(name, _)| !is_operator(name))
            .map(|(name, symbol)| (name, format!("{prefix}{symbol}")))
            .collect(),
        Names::Map(map) => map.clone(),
    };
    require(path, names, &symbols, |symbol| exported.contains(symbol))?;
    Ok(Located {
        full,
        file,
        symbols,
    })
}

/// Without `malloc` and `free` there is nothing to check.
fn require(
    path: &Path,
    names: &Names,
    symbols: &[(String, String)],
    exported: impl Fn(&str) -> bool,
) -> Result<(), CheckError> {
    let missing: Vec<&str> = ["malloc", "free"]
        .into_iter()
        .filter_map(
            |name| match symbols.iter().find(|(c_name, _)| c_name == name) {
                None => Some(name),
                Some((_, symbol)) => (!exported(symbol)).then_some(symbol.as_str()),
            },
        )
        .collect();
    if missing.is_empty() {
        return Ok(());
    }
    let advice = match names {
        Names::Plain => "name its entry points with --prefix P or --map malloc=…,free=…",
        Names::Prefix(_) => "check the prefix with `nm -D`, or use --map malloc=…,free=…",
        Names::Map(_) => "map both malloc and free to functions it exports (see `nm -D`)",
    };
    Err(CheckError::MissingEntryPoints {
        path: path.to_owned(),
        symbols: missing.join(" and "),
        advice: advice.into(),
    })
}

fn start(launch: Launch, info: SubjectInfo) -> Result<Launched, CheckError> {
    match Worker::start(&launch) {
        Ok((worker, Hello::Ready(found), said)) => finish(launch, info, worker, &found, said),
        Ok((_, Hello::NotOpened(reason), _)) => {
            Err(refused(&launch.name, StartError::NotOpened(reason)))
        }
        Ok((_, Hello::Interpreter { .. }, _)) => Err(misled()),
        Err(error) => Err(refused(&launch.name, error)),
    }
}

fn misled() -> CheckError {
    CheckError::Internal("a worker found itself in an interpreter".into())
}

fn finish(
    mut launch: Launch,
    mut info: SubjectInfo,
    mut worker: Worker,
    found: &[Found],
    said: String,
) -> Result<Launched, CheckError> {
    let own = |name: &str| found.iter().any(|found| found.own && found.name == name);
    if !own("malloc")
        && let Some(path) = &info.path
    {
        // The dynamic linker only warns of a library that it cannot preload.
        let line = said
            .lines()
            .next()
            .unwrap_or("the dynamic linker ignored it");
        return Err(CheckError::LoadFailed {
            path: path.clone(),
            reason: line.trim().to_owned(),
        });
    }
    launch.noisy = !said.trim().is_empty();
    info.entry_points = found.iter().filter_map(entry_point).collect();
    forget_what_is_rare(&mut info.entry_points);
    // A failed lookup allocates, and every program is to find a heap that nothing has touched: from here on workers
    // look up only what is there, and this first one is replaced if it did otherwise.
    let mut in_vain = 0;
    if let Carrier::Linked { symbols, .. } | Carrier::Opened { symbols, .. } = &mut launch.carrier {
        in_vain = symbols.len();
        symbols.retain(|(name, _)| own(name));
        in_vain -= symbols.len();
    }
    if in_vain > 0 {
        (worker, ..) = Worker::start(&launch).map_err(|error| refused(&launch.name, error))?;
    }
    Ok(Launched {
        launch,
        info,
        kin: None,
        worker,
        said,
    })
}

/// Most allocators know nothing of C++ or of what BSD adds: there is nothing to be said of what they lack of that.
fn forget_what_is_rare(points: &mut Vec<EntryPoint>) {
    let of_cxx = |point: &EntryPoint| is_operator(point.name);
    let has_cxx = points
        .iter()
        .any(|point| of_cxx(point) && point.provider == Provider::Subject);
    points.retain(|point| match point.provider {
        Provider::Subject => true,
        _ if of_cxx(point) => has_cxx,
        _ => !OF_BSD.contains(&point.name),
    });
}

pub fn entry_point(found: &Found) -> Option<EntryPoint> {
    let name = Native::NAMES.iter().find(|&&name| name == found.name)?;
    let provider = match &found.object {
        _ if found.own => Provider::Subject,
        Some(object) => Provider::Other(PathBuf::from(object)),
        None => Provider::Nobody,
    };
    Some(EntryPoint {
        name,
        symbol: found.symbol.clone(),
        provider,
    })
}

/// What is told of a worker that could not be started with the subject of this name.
pub fn refused(path: &Path, error: StartError) -> CheckError {
    let reason = match error {
        StartError::Refused(error) => {
            return CheckError::Resources {
                what: "a worker process",
                reason: error.to_string(),
            };
        }
        StartError::NotOpened(reason) => reason,
        StartError::Died(death, said) => {
            let said = said
                .lines()
                .map(str::trim)
                .find(|line| !line.is_empty())
                .unwrap_or_default();
            let how = format!("{} while it was loaded", how(death));
            if said.is_empty() {
                how
            } else {
                format!("{how}: {said}")
            }
        }
    };
    CheckError::LoadFailed {
        path: path.to_owned(),
        reason,
    }
}

/// How a process ended, or why it was ended.
fn how(death: Death) -> String {
    match death {
        Death::Exit { status } => format!("the process exited with status {status}"),
        Death::Signal { signal, .. } => format!("the process was killed by signal {signal}"),
        Death::Hang { millis } => format!("nothing moved for {millis} ms"),
    }
}

/// The subject as it is named on a command line.
pub(super) fn arguments(path: &Path, names: &Names, env: &[(String, String)]) -> String {
    let mut words = vec![quoted(&path.display().to_string())];
    match names {
        Names::Plain => {}
        Names::Prefix(prefix) => words.push(format!("--prefix {}", quoted(prefix))),
        Names::Map(map) => {
            let pairs: Vec<String> = map
                .iter()
                .map(|(name, symbol)| format!("{name}={symbol}"))
                .collect();
            words.push(format!("--map {}", quoted(&pairs.join(","))));
        }
    }
    words.extend(
        env.iter()
            .map(|(name, value)| format!("--env {}", quoted(&format!("{name}={value}")))),
    );
    words.join(" ")
}

/// A word as a shell takes it.
fn quoted(word: &str) -> String {
    let plain = |letter: char| letter.is_ascii_alphanumeric() || "/._-+=,:@%".contains(letter);
    if !word.is_empty() && word.chars().all(plain) {
        word.to_owned()
    } else {
        format!("'{}'", word.replace('\'', r"'\''"))
    }
}
