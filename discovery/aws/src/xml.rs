//! Elements of replies in XML, by their names without namespaces. What is empty and what is missing are one. Pure.

use rosterd_rest::{Fault, present};
use roxmltree::Node;

/// What is read of an element.
pub(super) trait Element<'a>: Sized {
    /// The first element in it of this name.
    fn child(self, name: &str) -> Option<Self>;

    /// The text of that.
    fn text_of(self, name: &str) -> &'a str;

    /// The elements in the element of this name, which is a list.
    fn list(self, name: &str) -> impl Iterator<Item = Self>;

    /// The same of a list without which a reply is none: nothing there is not the same as nothing found.
    fn listed(self, name: &str) -> Result<impl Iterator<Item = Self>, Fault>;
}

impl<'a> Element<'a> for Node<'a, '_> {
    fn child(self, name: &str) -> Option<Self> {
        self.children().find(|node| node.tag_name().name() == name)
    }

    fn text_of(self, name: &str) -> &'a str {
        self.child(name).and_then(|node| node.text()).unwrap_or_default().trim()
    }

    fn list(self, name: &str) -> impl Iterator<Item = Self> {
        self.child(name).into_iter().flat_map(|list| list.children()).filter(Node::is_element)
    }

    fn listed(self, name: &str) -> Result<impl Iterator<Item = Self>, Fault> {
        present(self.child(name), name).map(|list| list.children().filter(Node::is_element))
    }
}
