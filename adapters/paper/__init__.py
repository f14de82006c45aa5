"""A venue of our own for paper trading: orders, matching and accounts as a deterministic state machine.

Read in this order: `orders` (what an order is) → `book` (the market that it meets) → `matching` (what it
fills at) → `ledger` (what that does to the account) → `venue` (the state machine that ties them) →
`client` (how the trading node reaches it). All but `client` and `translate` are free of engine types.
"""
