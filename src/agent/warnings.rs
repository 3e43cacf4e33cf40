//! Warnings of the configuration, told once for as long as they hold.

use rosterd_config::{Problem, code};
use tracing::{info, warn};

/// The warnings of the configuration in use, wherever they stood.
#[derive(Debug, Default)]
pub(super) struct Warnings(Vec<Problem>);

impl Warnings {
    /// Tells those of a configuration that comes into use, but for those of the one before.
    pub(super) fn tell(&mut self, warnings: &[Problem]) {
        for Problem { file, line, column, key, code, message } in self.news(warnings) {
            let file = file.display();
            // Who shares a file with a Prometheus has such sections on purpose.
            if *code == code::SECTION_IGNORED {
                info!(%file, line, column, key, code, error = message, "a section of the configuration has no effect");
            } else {
                warn!(%file, line, column, key, code, error = message, "the configuration may not do what it says");
            }
        }
    }

    /// Those that the configuration before had not, at whichever line.
    fn news<'w>(&mut self, warnings: &'w [Problem]) -> Vec<&'w Problem> {
        let unplaced: Vec<Problem> =
            warnings.iter().map(|warning| Problem { line: 0, column: 0, ..warning.clone() }).collect();
        let new = warnings.iter().zip(&unplaced).filter(|(_, unplaced)| !self.0.contains(unplaced));
        let news = new.map(|(warning, _)| warning).collect();
        self.0 = unplaced;
        news
    }
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use super::*;

    #[test]
    fn a_warning_is_news_once_for_as_long_as_it_holds() {
        let warning = |line, message: &str| Problem {
            line,
            column: 1,
            ..Problem::of_file(Path::new("prometheus.yml"), code::SECTION_IGNORED, message)
        };
        let mut warnings = Warnings::default();
        for (held, news) in [
            (vec![warning(1, "a")], vec![warning(1, "a")]),
            (vec![warning(7, "a"), warning(8, "b")], vec![warning(8, "b")]),
            (vec![warning(7, "a")], vec![]),
            (vec![], vec![]),
            (vec![warning(7, "a")], vec![warning(7, "a")]),
        ] {
            assert_eq!(warnings.news(&held), news.iter().collect::<Vec<_>>());
        }
    }
}
