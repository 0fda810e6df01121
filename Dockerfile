# `recipe` with all extras: docker build --tag slm-recipe . && docker run --rm --volume "$PWD":/work slm-recipe validate RECIPE
FROM python:3.13-slim
RUN apt-get update && apt-get install --yes --no-install-recommends git && rm -rf /var/lib/apt/lists/* \
    && pip install --no-cache-dir uv && useradd --create-home --uid 1000 recipe
WORKDIR /opt/slm-recipe
COPY . .
RUN uv sync --no-dev --no-editable --extra all --no-cache
ENV PATH=/opt/slm-recipe/.venv/bin:$PATH
USER recipe
WORKDIR /work
ENTRYPOINT ["recipe"]
