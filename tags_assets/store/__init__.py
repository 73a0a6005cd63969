"""Versions of artifacts, stored in DuckDB files that any number of processes read and write at once.

`artifacts.ArtifactStore` is what the assets use. Below it, `layout` says where everything lies,
`artifact_file` writes and reads one version, `shelf` looks versions up, `warehouse` and `views` publish what
people query, `retention` and `health` keep house. `fingerprint` names versions by their inputs. `cache` and
`conditions` stand alone. Nothing here knows Dagster.
"""
