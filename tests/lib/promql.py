"""What a PromQL expression speaks of, from the tree that a parser of PromQL makes of it. To be imported after
python_tools.use("promql")."""

import promql_parser as parser

# What Prometheus itself, or its operator, adds to a target's series, and the series that it writes about targets and alerts.
TARGET_LABELS = {"job", "instance", "pod"}
PROMETHEUS = {
    "up": set(),
    "scrape_duration_seconds": set(),
    "scrape_samples_scraped": set(),
    "ALERTS": {"alertname", "alertstate", "severity", "cluster", "consumergroup", "topic", "partition", "condition"},
}


def nodes(expression):
    """The nodes of the tree, from the root down. Raises ValueError if it isn't PromQL."""
    found = []
    parser.walk(parser.parse(expression) if isinstance(expression, str) else expression, found.append)
    return found


def selectors(tree):
    return [node for node in nodes(tree) if isinstance(node, parser.VectorSelector)]


def ranges(tree):
    """[(name of the function, its range selector)] of the calls over a range."""
    return [
        (call.func.name, argument)
        for call in nodes(tree) if isinstance(call, parser.Call)
        for argument in call.args if isinstance(argument, parser.MatrixSelector)
    ]


def _literal(node):
    return node.val if isinstance(node, parser.StringLiteral) else None


def _made(tree):
    """The labels that label_replace(), label_join() and count_values() make."""
    calls = [node for node in nodes(tree) if isinstance(node, parser.Call)]
    replaced = {_literal(call.args[1]) for call in calls if call.func.name in ("label_replace", "label_join")}
    aggregations = [node for node in nodes(tree) if isinstance(node, parser.AggregateExpr)]
    return replaced | {_literal(node.param) for node in aggregations if str(node.op) == "count_values"}


def _grouping(node):
    """The labels that a node itself names: by, without, on, ignoring, group_left, group_right."""
    modifier = getattr(node, "modifier", None)
    if modifier is None:
        return set()
    if isinstance(node, parser.AggregateExpr):
        return set(modifier.labels)
    matching = set(modifier.matching.labels) if modifier.matching else set()
    return matching | set(modifier.group_labels or [])


def possible_labels(expression, catalogue):
    """All labels that the expression's result may have."""
    tree = parser.parse(expression)
    known = {**PROMETHEUS, **catalogue}
    return TARGET_LABELS.union(_made(tree), *(known.get(selector.name, ()) for selector in selectors(tree)))


def complaints(expression, catalogue):
    """What the expression asks for that isn't in the catalogue, {metric: its labels}; and whatever else is wrong."""
    try:
        tree = parser.parse(expression)
    except ValueError as error:
        return [f"it is no PromQL: {error}"]
    known = {**PROMETHEUS, **catalogue}
    found = []
    for selector in selectors(tree):
        if selector.name not in known:
            found.append(f"there is no metric {selector.name}")
            continue
        for matcher in selector.matchers.matchers:
            if matcher.name not in set(known[selector.name]) | TARGET_LABELS:
                found.append(f"{selector.name} has no label {matcher.name}")
    for node in nodes(tree):
        available = TARGET_LABELS | _made(node)
        for selector in selectors(node):
            available |= set(known.get(selector.name, ()))
        found += [f"nothing in it has the label {label}" for label in sorted(_grouping(node) - available)]
    return found
