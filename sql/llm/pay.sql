insert into ledger (hour, endpoint, model, calls, prompt_tokens, completion_tokens, cost, presumed_cost)
values (:hour, :endpoint, :model, :calls, :prompt_tokens, :completion_tokens, :cost, :presumed_cost)
on conflict (hour, endpoint, model) do update set
  calls = calls + excluded.calls,
  prompt_tokens = prompt_tokens + excluded.prompt_tokens,
  completion_tokens = completion_tokens + excluded.completion_tokens,
  cost = cost + excluded.cost,
  presumed_cost = presumed_cost + excluded.presumed_cost
