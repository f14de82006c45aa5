"""Every kind of policy that a strategy file may name is explained, with what it takes."""

from bot.operation.policy_kinds import policy_kinds
from ops.api.answers import as_answer


def test_every_kind_says_what_it_does_and_what_it_takes() -> None:
    rows = {row["kind"]: row for row in policy_kinds()}

    assert set(rows) == {
        "onnx",
        "bundle",
        "donchian",
        "flat",
        "equal",
        "first_long",
        "random",
        "buy_and_hold",
    }
    assert all(row["about"] and "Args:" not in row["about"] for row in rows.values())
    assert rows["donchian"]["about"].startswith("Enters where the close breaks the channel")
    taken = {one["name"]: one for one in rows["donchian"]["parameters"]}
    assert (taken["lookback"]["default"], taken["lookback"]["is_required"]) == (55, False)
    assert taken["lookback"]["about"].startswith("Length of the channel")
    assert [one["name"] for one in rows["bundle"]["parameters"] if one["is_required"]] == ["path"]
    assert as_answer(policy_kinds()).status_code == 200
