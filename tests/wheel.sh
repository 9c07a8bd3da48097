#!/usr/bin/env bash
# Build the wheel, install it with the oldest supported dependencies into a fresh environment, run the lines of the README with
# nothing else installed, and then the tests from a directory that does not hold the sources.
set -euo pipefail
python="$1" jobs="$2" root="$(pwd)"
away="$(mktemp -d)"
trap 'rm -rf "$away"' EXIT
"$python" -m venv "$away/env"
"$away/env/bin/python" -m pip install --quiet build
"$away/env/bin/python" -m build --quiet --wheel --outdir "$away/dist" "$root" >/dev/null
wheel="$(ls "$away"/dist/*.whl)"
"$away/env/bin/python" -m pip install --quiet -c tests/oldest.txt "$wheel"
sed -n '/^```python$/,/^```$/p' README.md | sed '/^```/d' >"$away/readme.py"
(cd "$away" && "$away/env/bin/python" -W error readme.py)
"$away/env/bin/python" -m pip install --quiet -c tests/oldest.txt "${wheel}[test,benchmarks]"
mkdir "$away/run"
cp -r tests benchmarks pyproject.toml README.md CHANGELOG.md docs "$away/run/"
cd "$away/run"
"$away/env/bin/python" -c 'import alignconf, alignconf.properties; assert "site-packages" in alignconf.__file__, alignconf.__file__'
"$away/env/bin/python" -m pytest -n "$jobs" -m "not slow"
