"""Correct solutions to the exercises of lesson 01, written in other ways than the reference."""

import math
from collections import Counter, defaultdict

import numpy as np


def chain_rule_recursive(words, q):
    if words:
        return sentence_without_end(words, q) + math.log(q[tuple(words)]["<end>"])
    return math.log(q[()]["<end>"])


def sentence_without_end(words, q):
    *before, last = words
    return math.log(q[tuple(before)][last]) + (sentence_without_end(before, q) if before else 0.0)


def chain_rule_numpy(words, q):
    row = [*words, "<end>"]
    return np.log([q[tuple(row[:t])][row[t]] for t in range(len(row))]).sum()


def chain_rule_growing_context(words, q):
    context, total = (), 0
    for word in (*words, "<end>"):
        total = total + math.log(q[context][word])
        context += (word,)
    return total


def bigram_counter(sentences):
    return Counter(pair for words in sentences for pair in zip(["<begin>", *words], [*words, "<end>"], strict=True))


def bigram_by_index(sentences):
    counts = defaultdict(int)
    for words in sentences:
        before = "<begin>"
        for i in range(len(words)):
            counts[before, words[i]] += 1
            before = words[i]
        counts[before, "<end>"] += 1
    return counts


def add_k_loops(counts, k):
    table = []
    for row in counts:
        total = sum(count + k for count in row)
        table.append([(count + k) / total for count in row])
    return np.array(table)


def add_k_transposed(counts, k):
    raised = np.asarray(counts, dtype=float) + k
    return (raised.T / raised.sum(1)).T


def add_k_einsum(counts, k):
    raised = counts + k
    return np.einsum("ij,i->ij", raised, 1 / np.einsum("ij->i", raised))


def perplexity_sums(log_probs):
    total, n = 0.0, 0
    for sentence in log_probs:
        total += sum(sentence)
        n += len(sentence)
    return math.e ** (-total / n)


def perplexity_geometric(log_probs):
    return float(np.prod(np.exp(-np.concatenate(log_probs) / sum(map(len, log_probs)))))


def perplexity_weighted(log_probs):
    means = [-np.mean(sentence) for sentence in log_probs]
    return np.exp(np.average(means, weights=[len(sentence) for sentence in log_probs]))


def sample_loop(words, q, u, temperature):
    weights = [p ** (1 / temperature) for p in q]
    left = u * sum(weights)
    for word, weight in zip(words, weights, strict=True):
        if left < weight:
            return word
        left -= weight
    return words[-1]


def sample_logs(words, q, u, temperature):
    with np.errstate(divide="ignore"):
        scores = np.log(q) / temperature
    p = np.exp(scores - scores.max())
    return words[int((np.cumsum(p / p.sum()) <= u).sum())]


ALTERNATIVES = {
    "prob.chain_rule": [chain_rule_recursive, chain_rule_numpy, chain_rule_growing_context],
    "prob.bigram_counts": [bigram_counter, bigram_by_index],
    "prob.predict_unseen": ["infinite", " Infinite "],
    "prob.add_k": [add_k_loops, add_k_transposed, add_k_einsum],
    "prob.perplexity": [perplexity_sums, perplexity_geometric, perplexity_weighted],
    "prob.sample": [sample_loop, sample_logs],
}
