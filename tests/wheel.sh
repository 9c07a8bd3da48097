#!/usr/bin/env bash
# Build the wheel, install it with the oldest supported dependencies into a fresh environment, and run the tests from a
# directory that does not hold the sources.
set -euo pipefail
python="$1" jobs="$2" root="$(pwd)"
away="$(mktemp -d)"
trap 'rm -rf "$away"' EXIT
"$python" -m venv "$away/env"
"$away/env/bin/python" -m pip install --quiet build
"$away/env/bin/python" -m build --quiet --wheel --outdir "$away/dist" "$root" >/dev/null
wheel="$(ls "$away"/dist/*.whl)"
"$away/env/bin/python" -m pip install --quiet -c tests/oldest.txt "${wheel}[test,benchmarks]"
mkdir "$away/run"
cp -r tests benchmarks pyproject.toml README.md CHANGELOG.md docs "$away/run/"
cd "$away/run"
"$away/env/bin/python" -c 'import alignconf, alignconf.properties; assert "site-packages" in alignconf.__file__, alignconf.__file__'
"$away/env/bin/python" -m pytest -n "$jobs" -m "not slow"
