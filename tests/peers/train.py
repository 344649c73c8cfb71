"""The training loop of a peer."""

from collections.abc import Iterator

import torch
import torch.nn.functional as F
from torch.nn.utils import clip_grad_norm_
from torch_geometric.data import Data
from torch_geometric.loader import DataLoader

from rethinking.training.settings import TrainerConfig
from tests.peers.peer import Peer


def train_epochs(
    model: Peer, graphs: list[Data], config: TrainerConfig, device: torch.device | None = None
) -> Iterator[float]:
    """Train for ever, an ordinary epoch at a time. Yields the mean supervised loss of each.

    device: the model's, if that is not the CPU.
    """
    for parameter in model.taught():
        parameter.requires_grad_(False)
    parameters = [parameter for parameter in model.parameters() if parameter.requires_grad]
    loader = DataLoader(graphs, batch_size=config.batch_size, shuffle=True)
    optimizer = torch.optim.Adam(parameters, lr=config.learning_rate)
    while True:
        model.train()
        total = 0.0
        for batch in loader:
            data = batch if device is None else batch.to(device)
            optimizer.zero_grad()
            prediction, losses = model.predict(data)
            loss = F.cross_entropy(prediction, data.y)
            sum(losses.values(), loss).backward()
            if config.gradient_clip is not None:
                clip_grad_norm_(parameters, config.gradient_clip)
            optimizer.step()
            total += float(loss.detach()) * data.num_graphs
        yield total / len(graphs)
