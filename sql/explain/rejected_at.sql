-- The line of a file that could not be read.
select file, line, reason
from rejected_rows
where line = $line and (file = $file or ends_with(file, '/' || $file))
order by file
limit 1
