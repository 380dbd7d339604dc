"""Each rule of the contract has one home in the code and a test, and docs/contract-map.md says which."""

from typing import Final

from tests.kit.contract_map import ROOT, find_homes, find_tests, read_rules, write_map

NO_CODE_YET: Final = {
    "7": "metrics, hourly runs and alerts are not built; `worker-status` and `status` count what happens until then",
}


def test_the_map_is_what_code_and_tests_say() -> None:
    written = (ROOT / "docs" / "contract-map.md").read_text()

    assert written == write_map(), "run `python -m tests.kit.contract_map > docs/contract-map.md`"


def test_every_rule_has_one_home() -> None:
    homes = find_homes()

    assert {
        rule.number: homes.get(rule.number, []) for rule in read_rules() if len(homes.get(rule.number, [])) != 1
    } == {number: [] for number in NO_CODE_YET}


def test_every_rule_has_a_test() -> None:
    assert {rule.number for rule in read_rules()} - find_tests().keys() == NO_CODE_YET.keys()


def test_a_home_is_of_a_rule_that_there_is() -> None:
    assert find_homes().keys() <= {rule.number for rule in read_rules()}
