//! Labels for elements: many of RDS and ElastiCache are told as they are.

use jiff::Timestamp;
use rosterd_discovery::Sheet;
use roxmltree::Node;

use crate::xml::Element;

/// An element, where it is in others with slashes between them, and what its label ends with.
#[derive(Debug, Clone, Copy)]
pub(super) struct Row {
    element: &'static str,
    label: &'static str,
    is_time: bool,
}

/// A text, a number, or `true` or `false`: as it comes.
pub(super) const fn text(element: &'static str, label: &'static str) -> Row {
    Row { element, label, is_time: false }
}

/// A point in time: in seconds of UTC.
pub(super) const fn time(element: &'static str, label: &'static str) -> Row {
    Row { element, label, is_time: true }
}

/// Adds the labels for what is there.
pub(super) fn set(sheet: &mut Sheet, prefix: &str, of: Node<'_, '_>, rows: &[Row]) {
    set_ending(sheet, prefix, "", of, rows);
}

/// The same of the element at this place of a list.
pub(super) fn set_numbered(sheet: &mut Sheet, prefix: &str, at: usize, of: Node<'_, '_>, rows: &[Row]) {
    set_ending(sheet, prefix, &format!("_{at}"), of, rows);
}

fn set_ending(sheet: &mut Sheet, prefix: &str, ending: &str, of: Node<'_, '_>, rows: &[Row]) {
    for Row { element, label, is_time } in rows {
        let value = deep(of, element);
        if value.is_empty() {
            continue;
        }
        let label = format!("{prefix}{label}{ending}");
        match is_time.then(|| seconds(value)).flatten() {
            Some(time) => sheet.set(&label, &time),
            None => sheet.set(&label, value),
        }
    }
}

/// The text of an element in others.
pub(super) fn deep<'a>(of: Node<'a, '_>, path: &str) -> &'a str {
    match path.rsplit_once('/') {
        None => of.text_of(path),
        Some((outer, name)) => {
            let outer = outer.split('/').try_fold(of, |node, name| node.child(name));
            outer.map(|node| node.text_of(name)).unwrap_or_default()
        }
    }
}

/// Tags as RDS and ElastiCache list them.
pub(super) fn tags<'a>(of: Node<'a, 'a>) -> impl Iterator<Item = (&'a str, &'a str)> {
    of.list("TagList").map(|tag| (tag.text_of("Key"), tag.text_of("Value")))
}

/// A time without fractions of seconds.
fn seconds(text: &str) -> Option<String> {
    let time: Timestamp = text.parse().ok()?;
    Some(Timestamp::from_second(time.as_second()).ok()?.to_string())
}

#[cfg(test)]
mod tests {
    use rosterd_model::Names;

    use super::*;

    #[test]
    fn what_is_there_becomes_labels() {
        let text_of = "<a><Name> n </Name><Empty/><In><Port>7</Port></In><At>2024-05-01T12:00:00.123+02:00</At><Odd>soon</Odd></a>";
        let document = roxmltree::Document::parse(text_of).expect("XML");
        let rows = [
            text("Name", "name"),
            text("Empty", "empty"),
            text("In/Port", "port"),
            text("Out/Port", "out"),
            time("At", "at"),
            time("Odd", "odd"),
        ];
        let mut sheet = Sheet::default();
        set(&mut sheet, "m_", document.root_element(), &rows);
        let told = sheet.build(&mut Names::new()).to_string();
        assert_eq!(told, r#"{m_at="2024-05-01T10:00:00Z", m_name="n", m_odd="soon", m_port="7"}"#);
    }
}
