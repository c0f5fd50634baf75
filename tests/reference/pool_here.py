"""Workers in the test's own process, which exchange nothing but what pickle can carry, and can be lost."""

import pickle

import torch

from cortex_sim.tdca.workers.crew import WorkerLost
from cortex_sim.tdca.workers.worker import Worker


class PoolHere:
    """A pool; ``lost_at`` numbers the requests (from 0, over all workers) that cost the worker asked.

    ``early``: the worker is lost before it does what was asked, otherwise before it answers.
    """

    def __init__(self, settings, data_dir, workers, lost_at=(), early=True):
        self.size, self.lost_at, self.early = workers.count, set(lost_at), early
        self._given = settings, data_dir, torch.get_num_threads()
        self.workers = [Worker(*self._given) for _ in range(self.size)]
        self.asked, self.replaced, self.closed, self.methods = 0, [], False, []
        self.done = [0] * self.size

    def send(self, rank, method, *given):
        number, self.asked = self.asked, self.asked + 1
        self.methods.append(method)
        worker = self.workers[rank]
        lost = number in self.lost_at
        if worker is None or (lost and self.early):
            self.workers[rank] = None
            return rank, None
        try:
            found = getattr(worker, method)(*pickle.loads(pickle.dumps(given)))
            answer = pickle.dumps((found, None))
            self.done[rank] += 1
        except Exception as exception:
            answer = pickle.dumps((None, exception))
        if lost:
            self.workers[rank] = None
        return rank, None if lost else answer

    def answer(self, ticket):
        rank, answer = ticket
        if answer is None:
            raise WorkerLost(f"process of worker {rank} ended")
        found, exception = pickle.loads(answer)
        if exception is not None:
            raise exception
        return found

    def replace(self, rank):
        assert self.workers[rank] is None
        self.replaced.append(rank)
        self.workers[rank] = Worker(*self._given)

    def close(self):
        self.closed = True
