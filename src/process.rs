//! What the operating system knows of this process. Read from `/proc`, so there is nothing to show off Linux. The
//! metrics library's own collector counts CPU time in whole seconds, too coarse for what this server is measured by.

use std::fs;

/// The kernel's unit of time in `/proc`, per second: fixed by its interface on all machines that Rust builds for.
const TICKS_PER_SECOND: f64 = 100.0;

/// One look at the process.
#[derive(Debug, Clone, PartialEq)]
pub struct Process {
    /// Memory that is not swapped out.
    pub resident_bytes: u64,
    /// User and system.
    pub cpu_seconds: f64,
    /// Since 1970.
    pub start_seconds: f64,
    /// Files and sockets that are open.
    pub open_descriptors: u64,
    /// How many may be.
    pub max_descriptors: u64,
}

impl Process {
    /// `None` where there is no `/proc`.
    pub fn observe() -> Option<Self> {
        let stat = fs::read_to_string("/proc/self/stat").ok()?;
        let times = Times::parse(&stat)?;
        let boot = number_after(&fs::read_to_string("/proc/stat").ok()?, "btime")?;
        Some(Self {
            resident_bytes: resident_bytes()?,
            cpu_seconds: times.cpu as f64 / TICKS_PER_SECOND,
            start_seconds: boot as f64 + times.started as f64 / TICKS_PER_SECOND,
            open_descriptors: open_descriptors()?,
            max_descriptors: max_descriptors()?,
        })
    }
}

/// Memory of this process that is not swapped out; `None` where there is no `/proc`.
pub fn resident_bytes() -> Option<u64> {
    Some(number_after(&fs::read_to_string("/proc/self/status").ok()?, "VmRSS:")? * 1024)
}

/// How many file descriptors this process may open.
pub fn max_descriptors() -> Option<u64> {
    rlimit::Resource::NOFILE.get_soft().ok()
}

fn open_descriptors() -> Option<u64> {
    // Linux 6.2 and later tell the count as the directory's size; counting a hundred thousand entries takes long.
    match fs::metadata("/proc/self/fd").ok()?.len() {
        // One of the entries is the directory, which is open only while it is read.
        0 => Some(fs::read_dir("/proc/self/fd").ok()?.count() as u64 - 1),
        count => Some(count),
    }
}

/// In ticks.
#[derive(Debug, PartialEq, Eq)]
struct Times {
    /// Used by all threads, user and system.
    cpu: u64,
    /// From the machine's start to the process's.
    started: u64,
}

impl Times {
    /// Reads a line of `/proc/<pid>/stat`, proc_pid_stat(5).
    fn parse(stat: &str) -> Option<Self> {
        // The second field is the program's name in parentheses, which may contain anything, parentheses too.
        let (_, after_name) = stat.rsplit_once(')')?;
        let field = |number: usize| after_name.split_ascii_whitespace().nth(number - 3)?.parse::<u64>().ok();
        Some(Self { cpu: field(14)? + field(15)?, started: field(22)? })
    }
}

/// The number after `label` at the start of a line.
fn number_after(text: &str, label: &str) -> Option<u64> {
    let line = text.lines().find_map(|line| line.strip_prefix(label))?;
    line.split_ascii_whitespace().next()?.parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn cpu_time_and_start_are_found_after_any_program_name() {
        let stat = "42 (a) b (c)) S 1 42 42 0 -1 4194560 900 0 0 0 250 50 7 8 20 0 9 0 123456 1000 200 18446744073709";
        assert_eq!(Times::parse(stat), Some(Times { cpu: 300, started: 123_456 }));
    }

    #[test]
    fn numbers_are_found_by_their_label() {
        let status = "Name:\tgaung\nVmHWM:\t  9999 kB\nVmRSS:\t  1234 kB\n";
        assert_eq!(number_after(status, "VmRSS:"), Some(1234));
        assert_eq!(number_after(status, "VmSwap:"), None);
    }

    #[cfg(target_os = "linux")]
    #[test]
    fn an_open_file_is_counted_and_the_process_started_in_the_past() {
        let before = Process::observe().expect("/proc is mounted");
        let _files: Vec<_> = (0..100).map(|_| fs::File::open("/dev/null").expect("always there")).collect();
        let after = Process::observe().expect("/proc is mounted");
        // Other tests of this process may open and close some meanwhile.
        assert!(after.open_descriptors >= before.open_descriptors + 50, "{before:?} {after:?}");
        assert!(after.open_descriptors < after.max_descriptors);
        assert!(after.resident_bytes > 100_000 && after.cpu_seconds >= before.cpu_seconds);
        let now = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).expect("after 1970").as_secs_f64();
        assert!((now - 3600.0..=now + 1.0).contains(&after.start_seconds), "{after:?} {now}");
    }
}
