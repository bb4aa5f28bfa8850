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
    // Acknowledging hits must never wait for merges and reports; those may wait. If nice(2) is refused, all
    // run with the same priority.
    let _same = rustix::process::nice(NICENESS);
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
