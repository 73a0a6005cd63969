-- The node that a person means by its id, its path, the end of its path, or its name; of several the highest.
select node_id, name, path
from knowledge_tree
where
    node_id = $name
    or lower(path) = lower($name)
    or lower(name) = lower($name)
    or ends_with(lower(path), ' > ' || lower($name))
order by node_id <> $name, lower(path) <> lower($name), level desc, node_id
limit 1
