//! Labels of one target after another, as mechanisms put them together from what a source knows.

use std::fmt::{Display, Write as _};

use rosterd_model::labels::{ADDRESS, Builder, INSTANCE};
use rosterd_model::{Labels, Names};

/// Labels under construction. Setting one to an empty value sets none.
#[derive(Debug, Default)]
pub struct Sheet {
    builder: Builder,
    name: String,
    value: String,
}

impl Sheet {
    /// The address.
    pub fn address(&mut self, address: &str) {
        self.builder.set(ADDRESS, address);
    }

    /// The address, of a host and a port.
    pub fn endpoint(&mut self, host: &str, port: impl Display) {
        self.builder.set(ADDRESS, &host_port(host, port));
    }

    /// The instance.
    pub fn instance(&mut self, instance: &str) {
        self.builder.set(INSTANCE, instance);
    }

    /// A label.
    pub fn set(&mut self, name: &str, value: &str) {
        self.builder.set(name, value);
    }

    /// A number.
    pub fn number(&mut self, name: &str, number: impl Display) {
        self.value.clear();
        write!(self.value, "{number}").expect("a string takes any text");
        self.builder.set(name, &self.value);
    }

    /// `true` or `false`.
    pub fn flag(&mut self, name: &str, flag: bool) {
        self.set(name, if flag { "true" } else { "false" });
    }

    /// A list, which begins and ends with its separator.
    pub fn list(&mut self, name: &str, items: &[impl AsRef<str>], separator: &str) {
        self.value.clear();
        self.value.push_str(separator);
        for (index, item) in items.iter().enumerate() {
            self.value.push_str(if index == 0 { "" } else { separator });
            self.value.push_str(item.as_ref());
        }
        self.value.push_str(separator);
        self.builder.set(name, &self.value);
    }

    /// The same unless it is empty.
    pub fn list_if_any(&mut self, name: &str, items: &[impl AsRef<str>], separator: &str) {
        if !items.is_empty() {
            self.list(name, items, separator);
        }
    }

    /// A label of which the last part of the name is a text that may have any characters.
    pub fn set_sanitised(&mut self, name: &str, rest: &str, value: &str) {
        let valid = |character: char| if character.is_ascii_alphanumeric() { character } else { '_' };
        self.name.clear();
        self.name.push_str(name);
        self.name.extend(rest.chars().map(valid));
        self.builder.set(&self.name, value);
    }

    /// A label for each entry of a map: the name begins so and ends in the key. Of keys that become the same the last one counts.
    pub fn map<K: AsRef<str>, V: AsRef<str>>(&mut self, name: &str, entries: impl IntoIterator<Item = (K, V)>) {
        for (key, value) in entries {
            self.set_sanitised(name, key.as_ref(), value.as_ref());
        }
    }

    /// The labels; the next ones begin anew.
    pub fn build(&mut self, names: &mut Names) -> Labels {
        let labels = self.builder.build(names);
        self.builder.clear();
        labels
    }
}

/// `host:port`, as Go joins them: a host that has colons itself stands in brackets.
pub fn host_port(host: &str, port: impl Display) -> String {
    if host.contains(':') { format!("[{host}]:{port}") } else { format!("{host}:{port}") }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn labels_are_put_together_and_do_not_leak_into_the_next_ones() {
        let (mut sheet, mut names) = (Sheet::default(), Names::new());
        sheet.endpoint("fe80::1", 80);
        sheet.list("tags", &["a", "b"], ",");
        sheet.number("slot", -7);
        sheet.flag("spare", false);
        sheet.map("meta_", [("a-b.ü", "1"), ("a_b__", "2"), ("none", "")]);
        let labels = sheet.build(&mut names).to_string();
        let want = r#"{__address__="[fe80::1]:80", meta_a_b__="2", slot="-7", spare="false", tags=",a,b,"}"#;
        assert_eq!(labels, want);
        sheet.endpoint("a", "90");
        sheet.list("tags", &[""; 0], "|");
        sheet.list_if_any("none", &[""; 0], "|");
        assert_eq!(sheet.build(&mut names).to_string(), r#"{__address__="a:90", tags="||"}"#);
    }
}
