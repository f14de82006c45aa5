"""A venue of our own for paper trading: orders, matching and accounts as a deterministic state machine.

Read in this order: `orders` (what an order is) → `book` (the market that it meets) → `matching` (what it
fills at) → `ledger` (what that does to the account) → `venue` (the state machine that ties them) →
`snapshot` and `store` (how it survives a kill) → `gateway` (the line to it; `faults` is one that breaks) →
`client` (how the trading node reaches it) → `recovery` (how strategies get back what is theirs).
All but `client`, `claims`, `recovery` and `translate` are free of engine types.
"""
