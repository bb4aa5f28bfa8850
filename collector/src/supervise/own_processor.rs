//! Each worker has a processor of its own, where there is one for each.
//!
//! Linux puts a thread that wakes beside the one that woke it, and while a thread of ClickHouse fills another processor, nobody
//! moves it there for up to a tenth of a second, however little priority ClickHouse has: all that acknowledges hits then
//! shares one processor (measured with `perf sched`; at 12,000 hits a second on two processors the 99th percentile fell from
//! 12 to 8 ms). With a processor each, a worker is at home beside ClickHouse and goes before it.
//!
//! It knows nothing of what the threads do.

/// Keeps the calling thread, the one with this number of `count`, on one processor. Does nothing where the process may use
/// more or fewer processors than there are threads: then the system divides them better. On such a system with one thread
/// there is nothing to divide.
#[cfg(target_os = "linux")]
pub fn own_processor(number: usize, count: usize) {
    use rustix::thread::{CpuSet, sched_getaffinity, sched_setaffinity};

    let Ok(allowed) = sched_getaffinity(None) else { return };
    if usize::try_from(allowed.count()) != Ok(count) || count < 2 {
        return;
    }
    let mut own = CpuSet::new();
    (0..CpuSet::MAX_CPU).filter(|cpu| allowed.is_set(*cpu)).skip(number).take(1).for_each(|cpu| own.set(cpu));
    // Refused, the thread runs wherever the system puts it.
    let _anywhere = sched_setaffinity(None, &own);
}

/// Does nothing: only Linux lets a thread choose.
#[cfg(not(target_os = "linux"))]
pub fn own_processor(_number: usize, _count: usize) {}

#[cfg(all(test, target_os = "linux"))]
mod tests {
    use rustix::thread::{CpuSet, sched_getaffinity};

    use super::own_processor;

    /// The processors of a thread with a number.
    fn processors(number: usize, count: usize) -> Vec<usize> {
        let thread = std::thread::spawn(move || {
            own_processor(number, count);
            sched_getaffinity(None).expect("a thread knows where it may run")
        });
        let set = thread.join().expect("it does not panic");
        (0..CpuSet::MAX_CPU).filter(|cpu| set.is_set(*cpu)).collect()
    }

    #[test]
    fn as_many_threads_as_processors_have_one_each_and_others_all() {
        let all = processors(0, 0);
        let each: Vec<Vec<usize>> = (0..all.len()).map(|number| processors(number, all.len())).collect();
        assert_eq!(each.concat(), all);
        for count in [1, all.len() + 1] {
            assert_eq!(processors(0, count), all, "{count} threads");
        }
    }
}
