-- Every table and view that people query, with what it holds; the views over all versions are left out.
select view_name as name, coalesce(comment, '') as holds
from duckdb_views()
where not internal and not ends_with(view_name, '_history')
union all
select table_name, coalesce(comment, '')
from duckdb_tables()
where not internal
order by name
