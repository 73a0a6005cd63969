-- Each concept's share of the target, the pool and the selection: one row per target and node. `wanted_rows` is the target's share
-- of the number of selected rows. `pool_rows` and `selected_rows` are mass: a row that is half about a concept counts half.
-- `against_pool` and `against_target` are ratios of shares; above 1, the selection has more of the concept.
with pool as (
    select node_id, sum(mass) as mass
    from grounded_instances
    semi join (select instance_id from instance_scores where eligible) as eligible using (instance_id)
    group by node_id
),

picked as (
    select picks.target, held.node_id, sum(held.mass) as mass
    from selected_subset as picks
    join grounded_instances as held on held.instance_id = picks.instance_id
    group by all
),

leaves as (
    select
        wanted.target,
        wanted.node_id,
        coalesce(pool.mass, 0) as pool_rows,
        coalesce(picked.mass, 0) as selected_rows,
        wanted.mass as wanted
    from target_distribution as wanted
    left join pool on pool.node_id = wanted.node_id
    left join picked on picked.target = wanted.target and picked.node_id = wanted.node_id
),

nodes as (
    select
        leaves.target,
        up.ancestor_id as node_id,
        sum(leaves.pool_rows) as pool_rows,
        sum(leaves.selected_rows) as selected_rows,
        sum(leaves.wanted) as target_share
    from leaves
    join node_ancestors as up on up.node_id = leaves.node_id
    group by all
),

shares as (
    select
        nodes.*,
        pool_rows / nullif(max(pool_rows) over (partition by target), 0) as pool_share,
        selected_rows / nullif(max(selected_rows) over (partition by target), 0) as selected_share,
        target_share * max(selected_rows) over (partition by target) as wanted_rows
    from nodes
)

select
    shares.target,
    node.node_id,
    node.name as node,
    node.level,
    node.path,
    shares.wanted_rows,
    shares.pool_rows,
    shares.selected_rows,
    shares.pool_share,
    shares.selected_share,
    shares.target_share,
    shares.selected_share / nullif(shares.pool_share, 0) as against_pool,
    shares.selected_share / nullif(shares.target_share, 0) as against_target
from shares
join knowledge_tree as node on node.node_id = shares.node_id
