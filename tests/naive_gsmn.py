"""GSMN's score of one image and one caption, by loops: the reference for the fast head."""

from __future__ import annotations

import math

import torch

from graphmatch.parsers.dependencies import adjacency


def naive_matches(queries, contexts, config):
    """Block cosines [Q, t] of queries [Q, d] with attended contexts, official code's way."""
    z = torch.where((z := queries @ contexts.T) > 0, z, 0.1 * z)  # [Q, C]
    z = z / (z.square().sum(dim=0, keepdim=True).sqrt() + 1e-8)
    rows = []
    for query, row in zip(queries, z, strict=True):
        attended = (config.scale * row).softmax(dim=0) @ contexts
        blocks = zip(query.chunk(config.blocks), attended.chunk(config.blocks), strict=True)
        rows.append(torch.stack([q @ a / max(float(q.norm() * a.norm()), 1e-8) for q, a in blocks]))
    return torch.stack(rows)


def naive_convolution(graph, x, weight, neighbour, official):
    """h [n, H] with weights [n][n][K] and, for the sparse graph, `neighbour` times the vectors."""
    rows = []
    for i in range(len(x)):
        parts = []
        for k, layer in enumerate(graph.convolution.conv_weights):
            seen = [x[i] if official else x[j] for j in range(len(x))]
            mixed = sum(weight[i][j][k] * neighbour[i][j] * seen[j] for j in range(len(x)))
            part = layer.weight @ mixed
            parts.append(part if layer.bias is None else part + layer.bias)
        rows.append(torch.cat(parts))
    return torch.stack(rows)


def naive_read(graph, hidden):
    """Mean over the nodes of W2 tanh(W1 h + b1) + b2, weights normalised by row."""
    weights = []
    for layer in (graph.out_1, graph.out_2):
        pair = layer.parametrizations.weight
        weights.append(pair.original0 * pair.original1 / pair.original1.norm(dim=1, keepdim=True))
    score = torch.tanh(hidden @ weights[0].T + graph.out_1.bias) @ weights[1].T + graph.out_2.bias
    return float(score.mean())


def naive_textual_weights(words, pairs, graph, config):
    n, kernels = len(words), graph.kernel_scale.flatten()
    similarity = (config.scale * words @ words.T).softmax(dim=1)
    matrix = torch.from_numpy(adjacency(pairs, n)).double()
    weight, neighbour = similarity, torch.ones(n, n)
    if config.graph == "sparse":
        weight = matrix * similarity
        weight = weight / (weight.square().sum(dim=1, keepdim=True).sqrt() + 1e-8)
        neighbour = matrix
    weight = weight.unsqueeze(-1) * kernels
    return weight / weight.sum(dim=1, keepdim=True), neighbour


def naive_visual_weights(box, kernels):
    """Gaussian weights [R][R][K] of boxes, with numbers of Python."""
    centre = [((b[0] + b[2]) / 2, (b[1] + b[3]) / 2) for b in box.tolist()]
    mean_rho, mean_theta, spread_rho, spread_theta = (
        getattr(kernels, n).flatten().tolist()
        for n in ("mean_rho", "mean_theta", "precision_rho", "precision_theta")
    )
    rows = []
    for xi, yi in centre:
        row = []
        for xj, yj in centre:
            rho, theta = math.hypot(xi - xj, yi - yj), math.atan2(xi - xj, yi - yj)
            values = []
            for k in range(len(mean_rho)):
                turn = abs(theta - mean_theta[k])
                angle = min(turn, abs(2 * math.pi - turn))
                values.append(
                    math.exp(-0.5 * (rho - mean_rho[k]) ** 2 / (1e-14 + spread_rho[k] ** 2))
                    * math.exp(-0.5 * angle**2 / (1e-14 + spread_theta[k] ** 2))
                )
            row.append([value / sum(values) for value in values])
        rows.append(row)
    return rows


@torch.no_grad()
def naive_score(model, regions, box, words, pairs):
    """Score of one image [R, d] and one caption [n, d]: the equations as they stand."""
    config, official = model.config, model.config.propagation == "official"
    weight, neighbour = naive_textual_weights(words, pairs, model.textual, config)
    x = naive_matches(words, regions, config)
    hidden = naive_convolution(model.textual, x, weight, neighbour, official)
    textual = naive_read(model.textual, hidden)
    weight = naive_visual_weights(box, model.visual.kernels)
    x = naive_matches(regions, words, config)
    hidden = naive_convolution(model.visual, x, weight, torch.ones(len(x), len(x)), official)
    return textual + naive_read(model.visual, hidden)
