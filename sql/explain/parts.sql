-- What each node gave to one pick, most first; `inferred` where most of the weight below it was assigned by likeness.
with stands_on as (
    select
        up.ancestor_id as node_id,
        coalesce(sum(tags.weight) filter (where tags.origin = 'assigned'), 0) > 0.5 * sum(tags.weight) as inferred
    from row_tags as tags
    join node_ancestors as up on up.node_id = tags.leaf_id
    where tags.instance_id = $instance_id
    group by all
)

select
    rows.node_id, rows.node, rows.level, rows.path, rows.gain, rows.closeness, rows.coverage, rows.text, rows.amount,
    rows.share_of_gain,
    rows.path <> 'whole text' and coalesce(stands_on.inferred, false) as inferred
from node_rows as rows
left join stands_on on stands_on.node_id = rows.node_id
where rows.instance_id = $instance_id and rows.target = $target
order by round(rows.amount, 9) desc, rows.level, rows.node_id
