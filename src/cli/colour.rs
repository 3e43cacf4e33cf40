//! Colours, for terminals whose users want them.

use std::io::IsTerminal;

use rosterd_client::System;

/// Whether what is written has colours.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct Colour(bool);

impl Colour {
    /// On a terminal, unless `NO_COLOR` is set to anything.
    pub(super) fn of(stream: &impl IsTerminal, system: &System) -> Self {
        let unwanted = system.environment().get("NO_COLOR").is_some_and(|value| !value.is_empty());
        Self(stream.is_terminal() && !unwanted)
    }

    /// Whatever the stream is.
    #[cfg(test)]
    pub(super) fn always() -> Self {
        Self(true)
    }

    /// The text in a colour, by its number among the attributes of terminals.
    pub(super) fn paint(self, colour: &str, text: &str) -> String {
        if self.0 { format!("\x1b[{colour}m{text}\x1b[0m") } else { text.to_owned() }
    }
}
