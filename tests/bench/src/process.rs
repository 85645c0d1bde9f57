//! What a process uses, from `/proc`: CPU time in nanoseconds and resident memory.

use std::{fs, io, path::Path, time::Duration};

/// Whose CPU time is read.
#[derive(Debug, Clone, Copy)]
pub enum Meter {
    /// All threads of a process.
    Process(u32),
    /// Those of a process's threads that have this name.
    Thread(u32, &'static str),
}

impl Meter {
    /// CPU time so far. Nanoseconds come from each thread's `schedstat`; the ticks of `stat` would be too coarse for a
    /// phase of a second.
    pub fn read(self) -> io::Result<Duration> {
        let (Self::Process(pid) | Self::Thread(pid, _)) = self;
        let mut total = Duration::ZERO;
        for task in fs::read_dir(format!("/proc/{pid}/task"))? {
            let task = task?.path();
            // A thread may end between the listing and the reading.
            if self.counts(&task)
                && let Ok(text) = fs::read_to_string(task.join("schedstat"))
            {
                total += parse_schedstat(&text)?;
            }
        }
        Ok(total)
    }

    fn counts(self, task: &Path) -> bool {
        match self {
            Self::Process(_) => true,
            Self::Thread(_, name) => fs::read_to_string(task.join("comm")).is_ok_and(|comm| comm.trim_end() == name),
        }
    }
}

/// Resident memory of the process in KiB, exact: the kernel walks its pages.
pub fn resident_kib(pid: u32) -> io::Result<u64> {
    parse_rollup(&fs::read_to_string(format!("/proc/{pid}/smaps_rollup"))?)
}

fn parse_schedstat(text: &str) -> io::Result<Duration> {
    let nanoseconds = text.split_whitespace().next().and_then(|word| word.parse().ok());
    nanoseconds.map(Duration::from_nanos).ok_or_else(|| unreadable("schedstat"))
}

fn parse_rollup(text: &str) -> io::Result<u64> {
    let line = text.lines().find_map(|line| line.strip_prefix("Rss:"));
    let kib = line.and_then(|rest| rest.trim().strip_suffix("kB")).and_then(|number| number.trim().parse().ok());
    kib.ok_or_else(|| unreadable("smaps_rollup"))
}

fn unreadable(file: &str) -> io::Error {
    io::Error::new(io::ErrorKind::InvalidData, format!("{file} of the measured process is not in the known form"))
}

#[cfg(test)]
mod tests {
    use std::{process, thread};

    use super::*;

    #[test]
    fn the_first_number_of_schedstat_is_nanoseconds_on_a_cpu() {
        assert_eq!(parse_schedstat("109723 429517 2\n").unwrap(), Duration::from_nanos(109_723));
        assert!(parse_schedstat("").is_err());
    }

    #[test]
    fn resident_memory_is_the_rss_line() {
        let text = "5600-7ffd ---p 0 00:00 0  [rollup]\nRss:                1234 kB\nPss:    999 kB\n";
        assert_eq!(parse_rollup(text).unwrap(), 1234);
        assert!(parse_rollup("Pss: 1 kB\n").is_err());
    }

    #[test]
    fn our_own_process_can_be_read() {
        assert!(Meter::Process(process::id()).read().unwrap() > Duration::ZERO);
        assert!(resident_kib(process::id()).unwrap() > 100);
    }

    #[test]
    fn a_thread_is_read_by_its_name() {
        let read = || Meter::Thread(process::id(), "busy").read().unwrap();
        let work = move || {
            while read().is_zero() {}
            read()
        };
        let its_time = thread::Builder::new().name("busy".to_owned()).spawn(work).unwrap().join().unwrap();
        assert!(its_time > Duration::ZERO);
        assert_eq!(read(), Duration::ZERO, "it has ended");
    }
}
