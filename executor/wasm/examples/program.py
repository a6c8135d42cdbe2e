"""A program of the size and kind that models write, for latency.rs."""
import heapq
from collections import Counter, defaultdict
from dataclasses import dataclass, field


@dataclass(order=True)
class Task:
    priority: int
    name: str = field(compare=False)


class Graph:
    def __init__(self):
        self.edges = defaultdict(list)

    def add(self, a, b, weight=1):
        self.edges[a].append((b, weight))
        self.edges[b].append((a, weight))

    def distances(self, start):
        best, queue = {}, [(0, start)]
        while queue:
            distance, node = heapq.heappop(queue)
            if node in best:
                continue
            best[node] = distance
            for other, weight in self.edges[node]:
                if other not in best:
                    heapq.heappush(queue, (distance + weight, other))
        return best


def tokens(text):
    number = ""
    for char in text:
        if char.isdigit():
            number += char
            continue
        if number:
            yield int(number)
            number = ""
        if char in "+-*()":
            yield char
    if number:
        yield int(number)


def evaluate(text):
    return eval("".join(str(token) for token in tokens(text)), {})


graph = Graph()
for i in range(20):
    graph.add(i, (i * 7 + 3) % 20, i % 5 + 1)
tasks = sorted(Task(len(word), word) for word in "the quick brown fox jumps".split())
words = Counter(char for task in tasks for char in task.name)
print(sum(graph.distances(0).values()), [task.name for task in tasks])
print(f"{evaluate('(1 + 2) * 34 - 5'):>10}", words.most_common(2))
