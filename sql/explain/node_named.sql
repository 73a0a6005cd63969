-- The node that a person means by its id, its path, the end of its path, or its name; of several the highest.
select
    node_id,
    if(parent_id is null and lower($name) = 'whole text', 'whole text', name) as name,
    if(parent_id is null and lower($name) = 'whole text', 'whole text', path) as path
from knowledge_tree
where
    node_id = $name
    or lower(path) = lower($name)
    or lower(name) = lower($name)
    or (parent_id is null and lower($name) = 'whole text')
    or ends_with(lower(path), ' > ' || lower($name))
order by node_id <> $name, lower(path) <> lower($name), level desc, node_id
limit 1
