-- The canonical tag that a person means by the tag or by one of its aliases, with the path of its leaf.
select held.tag, leaf.path
from knowledge_tree_tags as held
join knowledge_tree as leaf on leaf.node_id = held.node_id
left join tag_vocabulary_aliases as alias on alias.tag = held.tag
where held.tag = $name or held.tag = lower($name) or alias.alias = lower($name)
order by held.tag <> $name, held.tag
limit 1
