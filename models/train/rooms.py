"""Small rooms, made once: impulse responses from several seats of a shoebox to one microphone.

Image sources (Allen and Berkley, 1979) give the first 60 ms; later echoes are so dense that noise with the room's decay
stands in for them. A response is 0.4 s long, starts at the direct sound (so that labels of the dry speech stay true) and
has unit energy (loudness is the simulator's business).
"""

import numpy as np

RATE, LENGTH, EARLY = 16000, 6400, 960
SEATS = 4
SOUND = 343.0


def response(room, source, microphone, reflection, decay, rng):
    """Pressure reflection coefficient of the walls; decay: seconds to -60 dB."""
    order = np.arange(-4, 5)
    images = [np.stack([2 * order * size + s, 2 * order * size - s]) for size, s in zip(room, source)]    # [2,9] an axis
    bounces = np.stack([np.abs(2 * order), np.abs(2 * order - 1)])
    dx, dy, dz = (i.ravel() - m for i, m in zip(images, microphone))
    distance = np.sqrt(dx[:, None, None] ** 2 + dy[:, None] ** 2 + dz ** 2).ravel()
    hits = (bounces.ravel()[:, None, None] + bounces.ravel()[:, None] + bounces.ravel()).ravel()
    delay = (distance - distance.min()) * RATE / SOUND
    near = delay < EARLY
    gain = reflection ** hits[near] / distance[near]
    gain[hits[near] > 0] *= rng.uniform(0.6, 1.2, np.count_nonzero(hits[near]))     # furniture: no echo is perfect
    whole = delay[near].astype(int)
    part = delay[near] - whole
    h = np.bincount(whole, gain * (1 - part), LENGTH) + np.bincount(whole + 1, gain * part, LENGTH)[:LENGTH]
    time = np.arange(LENGTH) / RATE
    tail = rng.normal(0, 1, LENGTH) * np.exp(-6.9 * time / decay)
    level = np.sqrt(np.square(h[EARLY // 2:EARLY]).mean() / np.square(tail[EARLY // 2:EARLY]).mean())
    h += tail * level * np.clip((np.arange(LENGTH) - EARLY // 2) / (EARLY // 2), 0, 1)
    return h / np.sqrt(np.square(h).sum())


def rooms(count, seed):
    """[count, SEATS, LENGTH] float32."""
    rng = np.random.default_rng(seed)
    result = np.empty((count, SEATS, LENGTH), np.float32)
    for h in result:
        room = rng.uniform([2.5, 2.5, 2.3], [8, 6, 3.5])
        decay = rng.uniform(0.12, 0.7)
        surface = 2 * (room[0] * room[1] + room[1] * room[2] + room[0] * room[2])
        absorbed = min(0.95, 0.161 * room.prod() / (surface * decay))          # Sabine
        microphone = rng.uniform(0.2, 0.8, 3) * room
        for k in range(SEATS):
            reach = rng.uniform(0.25, 3.5)
            towards = rng.normal(0, 1, 3) * [1, 1, 0.3]
            source = microphone + reach * towards / np.linalg.norm(towards)
            source = np.clip(source, 0.15, room - 0.15)
            h[k] = response(room, source, microphone, np.sqrt(1 - absorbed), decay, rng)
    return result
