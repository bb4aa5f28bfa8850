//! The child process: loads `libchdb` and serves ClickHouse until its terminal closes.
//!
//! In a process of its own because the library takes over signals, aborts on fatal errors and can be started only
//! once (measured; see [`super`]).

use std::{
    ffi::{CStr, CString, OsString, c_char, c_int, c_void},
    os::unix::ffi::OsStringExt,
    path::Path,
};

/// Why the child ended.
#[derive(Debug, thiserror::Error)]
pub enum ChildError {
    /// The library is missing, broken or of another system.
    #[error("cannot load {path}: {reason}; run `make setup` to fetch it again")]
    Load {
        /// The library.
        path: String,
        /// What the loader said.
        reason: String,
    },
    /// An argument has a NUL byte.
    #[error("an argument of the embedded server has a NUL byte")]
    Argument,
    /// ClickHouse ended with an error.
    #[error("the embedded server ended: {0}")]
    Server(String),
}

/// `chdb_query_cmdline`: runs `clickhouse-local` with a command line.
type QueryCmdline = unsafe extern "C" fn(c_int, *mut *mut c_char) -> *mut c_void;
/// `chdb_result_error`: the error of a result, or null.
type ResultError = unsafe extern "C" fn(*mut c_void) -> *const c_char;

/// The server's niceness: the collector has priority where both want the processor (nice(2)).
const NICENESS: i32 = 10;

/// Takes a session of its own, in which Ctrl-C of the program's terminal does not reach it, and gives way to the collector:
/// acknowledging hits must never wait for merges and reports; those may wait.
///
/// A merge wakes dozens of threads at once, which together outweigh one worker however nice each of them is. Where Linux groups
/// threads by session (autogroup, sched(7)), all of the server's count as one, and the group is as nice.
fn give_way() {
    // Each of these is a matter of speed alone: where one is refused, all run with the same priority.
    let _leads_already = rustix::process::setsid();
    let _same = rustix::process::nice(NICENESS);
    let _not_grouped = std::fs::write("/proc/self/autogroup", NICENESS.to_string());
}

/// Serves until the terminal on standard input closes or sends an end of file.
///
/// # Errors
/// When the library cannot be loaded or ClickHouse ends with an error.
#[allow(unsafe_code)] // The library has a C interface; this is the only place that calls it.
pub fn serve(library: &Path, arguments: Vec<OsString>) -> Result<(), ChildError> {
    let load = |e: libloading::Error| ChildError::Load {
        path: library.display().to_string(),
        reason: e.to_string(),
    };
    give_way();
    let mut owned = vec![c"clickhouse-local".to_owned()];
    for argument in arguments {
        owned.push(CString::new(argument.into_vec()).map_err(|_| ChildError::Argument)?);
    }
    let mut pointers: Vec<*mut c_char> = owned.iter().map(|a| a.as_ptr().cast_mut()).collect();
    let count = c_int::try_from(pointers.len()).map_err(|_| ChildError::Argument)?;
    pointers.push(std::ptr::null_mut());

    // SAFETY: libchdb's initialisers are sound to run in a fresh process; the two symbols have the types of
    // chdb.h 26.7; the argument vector is NUL-terminated and outlives the call; the result is read before exit.
    unsafe {
        let lib = libloading::os::unix::Library::open(
            Some(library),
            libloading::os::unix::RTLD_NOW | libloading::os::unix::RTLD_LOCAL,
        )
        .map_err(load)?;
        let run: libloading::os::unix::Symbol<QueryCmdline> =
            lib.get(b"chdb_query_cmdline\0").map_err(load)?;
        let error: libloading::os::unix::Symbol<ResultError> =
            lib.get(b"chdb_result_error\0").map_err(load)?;
        let result = run(count, pointers.as_mut_ptr());
        let message = if result.is_null() { std::ptr::null() } else { error(result) };
        let outcome = if message.is_null() {
            Ok(())
        } else {
            Err(ChildError::Server(CStr::from_ptr(message).to_string_lossy().into_owned()))
        };
        // Unloading the library while its threads end is not safe; the process ends right after.
        std::mem::forget(lib);
        outcome
    }
}
