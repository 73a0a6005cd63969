-- All versions of one table. The data version and the partition are read off the file's name, so that a condition
-- on them opens the files that it names and no other.
select $columns
from ($rows) as artifact
join asset_versions as version on version.path = artifact._artifact_file
