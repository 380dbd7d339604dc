"""Each rule of the contract has one home in the code and a test, and docs/contract-map.md says which."""

from typing import Final

from tests.kit.contract_map import CONTRACT, ROOT, find_homes, find_tests, read_rules, write_map

NO_CODE_YET: Final = {
    "7": "metrics, hourly runs and alerts are not built; `worker-status` and `status` count what happens until then",
}
NO_HOME_YET: Final[frozenset[str]] = frozenset(
    {
        "4b",
        "A1",
        "A10",
        "A11",
        "A12",
        "A13",
        "A2",
        "A3",
        "A4",
        "A5",
        "A6",
        "A7",
        "A8",
        "A9",
        "B1",
        "B2",
        "B3",
        "C1",
        "C2",
        "C3",
        "C4",
        "C5",
        "C6",
        "C7",
        "C8",
        "D1",
        "D2",
        "D3",
        "E1",
        "E2",
        "E3",
        "E4",
        "F1",
        "F2",
        "F4",
        "F5",
        "G1",
        "G10",
        "G11",
        "G2",
        "G3",
        "G4",
        "G5",
        "G6",
        "G7",
        "G9",
        "I1",
        "I10",
        "I11",
        "I12",
        "I13",
        "I2",
        "I3",
        "I4",
        "I5",
        "I6",
        "I7",
        "I8",
        "I9",
        "M1",
        "M2",
        "M3",
        "M4",
        "M5",
        "M6",
    }
)
RULES: Final = read_rules(CONTRACT.read_text())


def test_the_map_is_what_code_and_tests_say() -> None:
    written = (ROOT / "docs" / "contract-map.md").read_text()

    assert written == write_map(), "run `python -m tests.kit.contract_map > docs/contract-map.md`"


def test_every_rule_has_one_home() -> None:
    homes = find_homes()

    assert {rule.number: homes.get(rule.number, []) for rule in RULES if len(homes.get(rule.number, [])) != 1} == {
        number: [] for number in NO_CODE_YET.keys() | NO_HOME_YET
    }


def test_every_rule_has_a_test() -> None:
    assert {rule.number for rule in RULES} - find_tests(RULES).keys() == NO_CODE_YET.keys()


def test_a_home_is_of_a_rule_that_there_is() -> None:
    assert find_homes().keys() <= {rule.number for rule in RULES}
