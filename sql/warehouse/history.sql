-- All versions of one table. The version is read off the file's name, so that a condition on it opens that file alone.
select
    artifact.* exclude (_artifact_file),
    $columns
from ($rows) as artifact
join asset_versions as version on version.path = artifact._artifact_file
