//! Where the measurements come from: a number without its machine says nothing.

use std::fmt;
use std::fs;

/// A machine, and the compiler that made this program.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Machine {
    /// The processor's name.
    pub cpu: String,
    /// Cores that this process may use.
    pub cores: usize,
    /// Those of the processor's features that matter to CCMP.
    pub features: Vec<&'static str>,
    /// Release of the Linux kernel.
    pub kernel: String,
    /// The compiler, with its version.
    pub rustc: String,
}

impl Machine {
    /// The one that this runs on. What it does not tell is "unknown".
    pub fn this() -> Machine {
        let unknown = || "unknown".to_owned();
        let cpuinfo = fs::read_to_string("/proc/cpuinfo").unwrap_or_default();
        Machine {
            cpu: cpu(&cpuinfo).map_or_else(unknown, str::to_owned),
            cores: std::thread::available_parallelism().map_or(1, usize::from),
            features: features(),
            kernel: fs::read_to_string("/proc/sys/kernel/osrelease")
                .map_or_else(|_| unknown(), |release| release.trim().to_owned()),
            rustc: env!("BENCHES_RUSTC").to_owned(),
        }
    }
}

impl fmt::Display for Machine {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let features = if self.features.is_empty() { "none".to_owned() } else { self.features.join(" ") };
        writeln!(f, "CPU     {}, {} cores; has of what CCMP can use: {features}", self.cpu, self.cores)?;
        writeln!(f, "kernel  {}", self.kernel)?;
        write!(f, "rustc   {}", self.rustc)
    }
}

/// The name of the first processor in /proc/cpuinfo.
fn cpu(cpuinfo: &str) -> Option<&str> {
    let fields = cpuinfo.lines().filter_map(|line| line.split_once(':'));
    let mut names = fields.filter(|(key, _)| matches!(key.trim(), "model name" | "Model" | "uarch"));
    names.next().map(|(_, name)| name.trim())
}

#[cfg(target_arch = "x86_64")]
fn features() -> Vec<&'static str> {
    let found = [
        ("aes", is_x86_feature_detected!("aes")),
        ("avx2", is_x86_feature_detected!("avx2")),
        ("vaes", is_x86_feature_detected!("vaes")),
        ("avx512f", is_x86_feature_detected!("avx512f")),
    ];
    found.into_iter().filter(|(_, found)| *found).map(|(name, _)| name).collect()
}

#[cfg(not(target_arch = "x86_64"))]
fn features() -> Vec<&'static str> {
    Vec::new()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_processor_has_a_name() {
        let text =
            "processor\t: 0\nvendor_id\t: AuthenticAMD\nmodel name\t: AMD EPYC 7763\n\nprocessor\t: 1\n";
        assert_eq!(cpu(text), Some("AMD EPYC 7763"));
        assert_eq!(cpu("processor\t: 0\nBogoMIPS\t: 50.00\n"), None);
    }

    #[test]
    fn people_read_it_in_three_lines() {
        let machine = Machine {
            cpu: "AMD EPYC 7763".into(),
            cores: 2,
            features: vec!["aes", "vaes"],
            kernel: "6.1.0".into(),
            rustc: "rustc 1.95.0".into(),
        };
        assert_eq!(
            machine.to_string(),
            "CPU     AMD EPYC 7763, 2 cores; has of what CCMP can use: aes vaes\n\
             kernel  6.1.0\n\
             rustc   rustc 1.95.0"
        );
    }
}
