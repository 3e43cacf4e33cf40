//! What a target exposes: the families of a service with its own counters on a machine with a node exporter.

/// The type of a family.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Type {
    Counter,
    Gauge,
    Histogram,
    Summary,
}

impl Type {
    pub(super) fn name(self) -> &'static str {
        match self {
            Self::Counter => "counter",
            Self::Gauge => "gauge",
            Self::Histogram => "histogram",
            Self::Summary => "summary",
        }
    }
}

/// How values look, and whether they move from scrape to scrape.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Values {
    /// 0 or 1, and stays.
    Flag,
    /// A number that stays.
    Fixed,
    /// A count that grows.
    Count,
    /// Seconds with two decimals that grow.
    Seconds,
    /// Bytes that go up and down.
    Bytes,
    /// A share with many decimals that goes up and down.
    Ratio,
}

/// One family: a series for each combination of its labels. `{}` in a value is the number of the kind of target.
#[derive(Debug, Clone, Copy)]
pub(super) struct Family {
    pub(super) name: &'static str,
    pub(super) help: &'static str,
    pub(super) kind: Type,
    pub(super) values: Values,
    pub(super) labels: Labels,
}

type Labels = &'static [(&'static str, &'static [&'static str])];

const fn family(name: &'static str, kind: Type, values: Values, labels: Labels, help: &'static str) -> Family {
    Family { name, help, kind, values, labels }
}

use Type::{Counter, Gauge, Histogram, Summary};
use Values::{Bytes, Count, Fixed, Flag, Ratio, Seconds};

/// Bounds of histograms, and quantiles of summaries.
pub(super) const BOUNDS: [&str; 7] = ["0.005", "0.025", "0.1", "0.25", "0.5", "2.5", "+Inf"];
pub(super) const QUANTILES: [&str; 5] = ["0", "0.25", "0.5", "0.75", "1"];

const CPU: (&str, &[&str]) = ("cpu", &["0", "1", "2", "3", "4", "5", "6", "7"]);
const DISK: (&str, &[&str]) = ("device", &["nvme0n1", "nvme1n1", "sda", "dm-0"]);
const LINK: (&str, &[&str]) = ("device", &["eth0", "eth1", "lo", "docker0"]);
const MOUNT: Labels = &[
    ("device", &["/dev/mapper/vg{}-root"]),
    ("fstype", &["ext4"]),
    ("mountpoint", &["/", "/boot", "/home", "/var/lib/docker", "/var/log"]),
];

/// Numbered series of one family follow when these are not enough.
pub(super) const MORE: Family = family(
    "container_cpu_usage_seconds_total",
    Counter,
    Seconds,
    &[("namespace", &["production-{}"]), ("container", &["web"])],
    "CPU time used by the container, in user and kernel mode.",
);

/// The first twenty series are a small target by themselves.
pub(super) const FAMILIES: &[Family] = &[
    family("process_cpu_seconds_total", Counter, Seconds, &[], "User and system CPU time of the process."),
    family("process_resident_memory_bytes", Gauge, Bytes, &[], "Memory of the process that is resident."),
    family("process_virtual_memory_bytes", Gauge, Bytes, &[], "Memory that the process has mapped."),
    family("process_open_fds", Gauge, Count, &[], "Descriptors that are open."),
    family("process_max_fds", Gauge, Fixed, &[], "How many descriptors may be open."),
    family("process_start_time_seconds", Gauge, Fixed, &[], "When the process started, in seconds since 1970."),
    family(
        "app_build_info",
        Gauge,
        Flag,
        &[
            ("branch", &["HEAD"]),
            ("goversion", &["go1.22.4"]),
            ("revision", &["7c2f0a{}b19e"]),
            ("version", &["3.18.{}"]),
        ],
        "What the service was built from; always 1.",
    ),
    family(
        "http_requests_total",
        Counter,
        Count,
        &[("code", &["200", "500"]), ("handler", &["/api/v1/orders/{id}"]), ("method", &["get", "post"])],
        "Requests that were answered, by status, route and method.",
    ),
    family(
        "http_request_duration_seconds",
        Histogram,
        Seconds,
        &[("handler", &["/api/v1/orders/{id}", "/api/v1/customers", "/healthz"])],
        "Time from the first byte of a request to the last byte of the answer.",
    ),
    family("go_gc_duration_seconds", Summary, Ratio, &[], "Pauses of the garbage collector."),
    family("go_goroutines", Gauge, Count, &[], "Goroutines that exist."),
    family("go_threads", Gauge, Count, &[], "Threads of the operating system."),
    family("go_memstats_alloc_bytes", Gauge, Bytes, &[], "Bytes on the heap that are in use."),
    family("go_memstats_alloc_bytes_total", Counter, Bytes, &[], "Bytes that were ever allocated on the heap."),
    family("go_memstats_heap_idle_bytes", Gauge, Bytes, &[], "Bytes of the heap that wait to be used."),
    family("go_memstats_heap_objects", Gauge, Count, &[], "Objects on the heap."),
    family("go_memstats_next_gc_bytes", Gauge, Bytes, &[], "Size of the heap at which the next collection starts."),
    family(
        "node_cpu_seconds_total",
        Counter,
        Seconds,
        &[CPU, ("mode", &["idle", "iowait", "irq", "nice", "softirq", "steal", "system", "user"])],
        "Seconds that a CPU has spent in each mode.",
    ),
    family(
        "node_cpu_guest_seconds_total",
        Counter,
        Fixed,
        &[CPU, ("mode", &["nice", "user"])],
        "Seconds spent in guests.",
    ),
    family("node_disk_io_time_seconds_total", Counter, Seconds, &[DISK], "Seconds in which a disk was busy."),
    family("node_disk_read_bytes_total", Counter, Bytes, &[DISK], "Bytes that were read."),
    family("node_disk_reads_completed_total", Counter, Count, &[DISK], "Reads that have ended well."),
    family("node_disk_read_time_seconds_total", Counter, Seconds, &[DISK], "Seconds that all reads took together."),
    family("node_disk_written_bytes_total", Counter, Bytes, &[DISK], "Bytes that were written."),
    family("node_disk_writes_completed_total", Counter, Count, &[DISK], "Writes that have ended well."),
    family("node_disk_write_time_seconds_total", Counter, Seconds, &[DISK], "Seconds that all writes took together."),
    family(
        "node_disk_info",
        Gauge,
        Flag,
        &[DISK, ("model", &["SAMSUNG MZVL21T0HCLR-00B00"])],
        "What the kernel tells of a disk.",
    ),
    family("node_filesystem_avail_bytes", Gauge, Bytes, MOUNT, "Bytes that users without privileges may take."),
    family("node_filesystem_free_bytes", Gauge, Bytes, MOUNT, "Bytes that are free."),
    family("node_filesystem_size_bytes", Gauge, Fixed, MOUNT, "Bytes that the file system has."),
    family("node_filesystem_files", Gauge, Fixed, MOUNT, "Nodes of files that the file system has."),
    family("node_filesystem_files_free", Gauge, Count, MOUNT, "Nodes of files that are free."),
    family("node_filesystem_readonly", Gauge, Flag, MOUNT, "Whether nothing can be written."),
    family("node_network_receive_bytes_total", Counter, Bytes, &[LINK], "Bytes that came in."),
    family("node_network_receive_packets_total", Counter, Count, &[LINK], "Packets that came in."),
    family("node_network_receive_errs_total", Counter, Fixed, &[LINK], "Packets that came in damaged."),
    family("node_network_receive_drop_total", Counter, Count, &[LINK], "Packets that came in and were dropped."),
    family("node_network_transmit_bytes_total", Counter, Bytes, &[LINK], "Bytes that went out."),
    family("node_network_transmit_packets_total", Counter, Count, &[LINK], "Packets that went out."),
    family("node_network_transmit_errs_total", Counter, Fixed, &[LINK], "Packets that could not go out."),
    family("node_network_mtu_bytes", Gauge, Fixed, &[LINK], "The largest packet of the link."),
    family(
        "node_network_info",
        Gauge,
        Flag,
        &[LINK, ("address", &["02:42:ac:11:00:{}"]), ("duplex", &["full"]), ("operstate", &["up"])],
        "What the kernel tells of a link.",
    ),
    family("node_memory_MemTotal_bytes", Gauge, Fixed, &[], "MemTotal of the kernel's memory report."),
    family("node_memory_MemFree_bytes", Gauge, Bytes, &[], "MemFree of the kernel's memory report."),
    family("node_memory_MemAvailable_bytes", Gauge, Bytes, &[], "MemAvailable of the kernel's memory report."),
    family("node_memory_Buffers_bytes", Gauge, Bytes, &[], "Buffers of the kernel's memory report."),
    family("node_memory_Cached_bytes", Gauge, Bytes, &[], "Cached of the kernel's memory report."),
    family("node_memory_Active_bytes", Gauge, Bytes, &[], "Active of the kernel's memory report."),
    family("node_memory_Inactive_bytes", Gauge, Bytes, &[], "Inactive of the kernel's memory report."),
    family("node_memory_Slab_bytes", Gauge, Bytes, &[], "Slab of the kernel's memory report."),
    family("node_memory_Dirty_bytes", Gauge, Bytes, &[], "Dirty of the kernel's memory report."),
    family("node_memory_SwapTotal_bytes", Gauge, Fixed, &[], "SwapTotal of the kernel's memory report."),
    family("node_load1", Gauge, Ratio, &[], "Load of the last minute."),
    family("node_load5", Gauge, Ratio, &[], "Load of the last five minutes."),
    family("node_load15", Gauge, Ratio, &[], "Load of the last fifteen minutes."),
    family("node_boot_time_seconds", Gauge, Fixed, &[], "When the machine started, in seconds since 1970."),
    family("node_context_switches_total", Counter, Count, &[], "How often a CPU went on to another thread."),
    family("node_forks_total", Counter, Count, &[], "Processes that were ever started."),
    family("node_intr_total", Counter, Count, &[], "Interrupts that were handled."),
    family("node_netstat_Tcp_ActiveOpens", Gauge, Count, &[], "Connections that were opened from here."),
    family("node_netstat_Tcp_CurrEstab", Gauge, Count, &[], "Connections that exist."),
    family("node_netstat_Tcp_RetransSegs", Gauge, Count, &[], "Segments that were sent again."),
    family("node_vmstat_pgfault", Gauge, Count, &[], "Pages that were missing when they were used."),
    family("node_vmstat_pgmajfault", Gauge, Count, &[], "Pages that had to be read from a disk."),
    family("node_vmstat_pgpgin", Gauge, Count, &[], "Kilobytes that were paged in."),
    family(
        "node_pressure_cpu_waiting_seconds_total",
        Counter,
        Seconds,
        &[],
        "Seconds in which threads waited for a CPU.",
    ),
    family(
        "node_uname_info",
        Gauge,
        Flag,
        &[
            ("domainname", &["(none)"]),
            ("machine", &["x86_64"]),
            ("nodename", &["ip-10-12-{}-7.eu-west-1.compute.internal"]),
            ("release", &["6.1.0-21-amd64"]),
            ("sysname", &["Linux"]),
            ("version", &["#1 SMP PREEMPT_DYNAMIC Debian 6.1.90-1 (2024-05-03)"]),
        ],
        "What the kernel calls itself and the machine; always 1.",
    ),
    family(
        "node_systemd_unit_state",
        Gauge,
        Flag,
        &[
            (
                "name",
                &[
                    "cron.service",
                    "dbus.service",
                    "docker.service",
                    "getty@tty1.service",
                    "networking.service",
                    "prometheus-node-exporter.service",
                    "rsyslog.service",
                    "ssh.service",
                    "systemd-journald.service",
                    "systemd-logind.service",
                    "systemd-timesyncd.service",
                    "systemd-udevd.service",
                    "unattended-upgrades.service",
                    "apt-daily.timer",
                    "logrotate.timer",
                    "fstrim.timer",
                ],
            ),
            ("state", &["activating", "active", "deactivating", "failed", "inactive"]),
            ("type", &["simple"]),
        ],
        "Whether a unit is in this state.",
    ),
];
