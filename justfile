# Verbs for those who have `just`; each is a check of ci/run, which needs nothing but bash.

# Lists the verbs.
default:
    @just --list

# All checks, as CI runs them.
ci:
    bash ci/run

# Installs what the checks need.
install:
    bash ci/run install

# Checks the format.
fmt:
    bash ci/run fmt

# Lints, with warnings denied.
clippy:
    bash ci/run clippy

# Builds the documentation of the crates.
doc:
    bash ci/run doc

# Runs all tests, also those beside real programs.
test:
    bash ci/run install kubernetes test

# Checks licences, sources and doubled crates.
deny:
    bash ci/run install deny

# Checks that nothing generated has changed.
generated:
    bash ci/run generated

# Runs rosterd on the shipped quickstart configuration.
quickstart:
    cargo run --release -- run --config.file=quickstart/prometheus.yml
