"""The worker's own Prometheus metrics; the engine adds its own (`vllm:*`)."""

from prometheus_client import Counter, Gauge, Histogram

REQUESTS = Counter(
    "minigpt4_requests_total",
    "Requests by route, HTTP status and error code (empty when none)",
    ["route", "status", "code"],
)
IN_FLIGHT = Gauge("minigpt4_requests_in_flight", "Generations accepted and not yet ended")
TOKENS = Counter("minigpt4_tokens_total", "Tokens by kind: prompt, output", ["kind"])
FIRST_TOKEN = Histogram(
    "minigpt4_first_token_seconds",
    "From the request's arrival to its first token event",
    buckets=(0.05, 0.1, 0.2, 0.4, 0.8, 1.6, 3.2, 6.4, 12.8, 25.6),
)
IMAGES = Histogram(
    "minigpt4_image_seconds",
    "Fetching, decoding and reading one image",
    buckets=(0.01, 0.02, 0.05, 0.1, 0.2, 0.5, 1, 2, 5, 10),
)
READ = Counter(
    "minigpt4_pictures_read_total",
    "Pictures by what the reader found: text, nothing, failed; kept: read for an earlier request",
    ["found"],
)
ENCODED = Counter(
    "minigpt4_images_encoded_total",
    "Images that the encoder processed; cached ones are not counted",
)
BOOT = Gauge("minigpt4_boot_seconds", "How long each phase of the boot took", ["phase"])
READY = Gauge("minigpt4_ready", "1 while new requests are accepted")
