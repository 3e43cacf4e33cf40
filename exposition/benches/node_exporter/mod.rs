//! An exposition to measure with.

use std::fmt::Write;

/// An exposition in the manner of a node exporter on a machine with this many CPUs: most families have a handful of
/// series, values are whole numbers, fractions and large numbers with an exponent, as Go prints them.
pub(crate) fn node_exporter(cpus: usize) -> String {
    let mut body = Writer { text: String::new(), random: 0x2545_f491_4f6c_dd1d };
    body.family("go_gc_duration_seconds", "A summary of the pause duration of garbage collection cycles.", "summary");
    for quantile in ["0", "0.25", "0.5", "0.75", "1"] {
        body.sample("go_gc_duration_seconds", &[("quantile", quantile)]);
    }
    body.family("node_cpu_seconds_total", "Seconds the CPUs spent in each mode.", "counter");
    for cpu in 0..cpus {
        for mode in ["idle", "iowait", "irq", "nice", "softirq", "steal", "system", "user"] {
            body.sample("node_cpu_seconds_total", &[("cpu", &cpu.to_string()), ("mode", mode)]);
        }
    }
    for what in ["reads_completed_total", "read_bytes_total", "io_time_seconds_total", "written_bytes_total"] {
        let name = format!("node_disk_{what}");
        body.family(&name, "What the kernel counts for each block device since the machine was started.", "counter");
        for disk in 0..cpus / 4 {
            body.sample(&name, &[("device", &format!("nvme{disk}n1"))]);
        }
    }
    for what in ["avail_bytes", "device_error", "files", "files_free", "free_bytes", "readonly", "size_bytes"] {
        let name = format!("node_filesystem_{what}");
        body.family(&name, "Filesystem space available to non-root users, in bytes or in inodes.", "gauge");
        for mount in 0..cpus / 2 {
            let (device, point) = (format!("/dev/nvme{mount}n1p1"), format!("/srv/volumes/{mount}"));
            body.sample(&name, &[("device", &device), ("fstype", "ext4"), ("mountpoint", &point)]);
        }
    }
    for what in 0..100 {
        let name = format!("node_memory_Field{what}_bytes");
        body.family(&name, &format!("Memory information field Field{what}_bytes."), "gauge");
        body.sample(&name, &[]);
    }
    for what in 0..36 {
        let name = format!("node_network_receive_counter{what}_total");
        body.family(&name, &format!("Network device statistic receive_counter{what}."), "counter");
        for device in 0..cpus / 4 {
            body.sample(&name, &[("device", &format!("veth{device:04x}"))]);
        }
    }
    body.family("node_scrape_duration_seconds", "How long a collector took.", "histogram");
    for le in ["0.005", "0.01", "0.025", "0.05", "0.1", "0.25", "0.5", "1.0", "2.5", "5.0", "10.0", "+Inf"] {
        body.sample("node_scrape_duration_seconds_bucket", &[("collector", "cpu"), ("le", le)]);
    }
    body.family("node_systemd_unit_state", "Systemd unit", "gauge");
    for unit in 0..cpus {
        for state in ["activating", "active", "deactivating", "failed", "inactive"] {
            let name = format!("some-service-{unit}.service");
            body.sample("node_systemd_unit_state", &[("name", &name), ("state", state), ("type", "simple")]);
        }
    }
    body.text
}

struct Writer {
    text: String,
    random: u64,
}

impl Writer {
    fn family(&mut self, name: &str, help: &str, kind: &str) {
        write!(self.text, "# HELP {name} {help}\n# TYPE {name} {kind}\n").expect("memory takes it");
    }

    fn sample(&mut self, name: &str, labels: &[(&str, &str)]) {
        self.text.push_str(name);
        for (index, (label, value)) in labels.iter().enumerate() {
            let before = if index == 0 { '{' } else { ',' };
            write!(self.text, "{before}{label}=\"{value}\"").expect("memory takes it");
        }
        self.text.push_str(if labels.is_empty() { " " } else { "} " });
        self.value();
    }

    /// A third of the values are 0 or 1, a third fractions, a third large.
    fn value(&mut self) {
        self.random ^= self.random << 13;
        self.random ^= self.random >> 7;
        self.random ^= self.random << 17;
        let number = self.random >> 16;
        match self.random % 6 {
            0 | 1 => writeln!(self.text, "{}", number % 2),
            2 | 3 => writeln!(self.text, "{}.{:02}", number % 100_000, number % 100),
            4 => writeln!(self.text, "{}.{:09}e+{:02}", number % 9 + 1, number % 1_000_000_000, 9 + number % 3),
            _ => writeln!(self.text, "{}", number % 1_000_000),
        }
        .expect("memory takes it");
    }
}
