"""Which environment variable is whose key: the hosts that a key is made for, and variables that are never one."""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType
from typing import Final

HOSTS: Final[Mapping[str, str]] = MappingProxyType(
    {
        "ANTHROPIC_API_KEY": "api.anthropic.com",
        "CEREBRAS_API_KEY": "api.cerebras.ai",
        "DEEPINFRA_API_KEY": "api.deepinfra.com",
        "DEEPSEEK_API_KEY": "api.deepseek.com",
        "FIREWORKS_API_KEY": "api.fireworks.ai",
        "GEMINI_API_KEY": "generativelanguage.googleapis.com",
        "GROQ_API_KEY": "api.groq.com",
        "MISTRAL_API_KEY": "api.mistral.ai",
        "OPENAI_API_KEY": "api.openai.com",
        "OPENROUTER_API_KEY": "openrouter.ai",
        "PERPLEXITY_API_KEY": "api.perplexity.ai",
        "TOGETHER_API_KEY": "api.together.xyz",
        "XAI_API_KEY": "api.x.ai",
    }
)
"""Keys that need no word of the user's for their own host, at its usual port and over https."""

# The recipe names the variable, and its author may want what opens other doors: the cloud, the
# code, the packages. By prefix, since such programs have many variables.
_ELSEWHERE: Final = (
    *("ACTIONS_", "ARM_", "AWS_", "AZURE_", "BOTO_", "CI_", "CLOUDSDK_", "DOCKER_", "GCLOUD_"),
    *("GCP_", "GH_", "GIT_", "GITHUB_", "GITLAB_", "GNUPG", "GOOGLE_", "GPG_", "HF_", "HUGGING"),
    *("KUBE", "NPM_", "PG", "PIP_", "PYPI_", "SSH_", "SUDO_", "TWINE_", "UV_", "VAULT_", "WANDB_"),
)
_EXCEPTIONS: Final = frozenset({"AZURE_OPENAI_API_KEY"})
_OF_THE_SYSTEM: Final = frozenset(
    {"HOME", "PATH", "USER", "LOGNAME", "SHELL", "PWD", "HOSTNAME", "LANG", "TERM", "DATABASE_URL"}
)


def is_never_sent(variable: str) -> bool:
    """Tell whether a variable belongs to something else than a model's server, whatever case it is written in."""
    name = variable.upper()
    return name not in _EXCEPTIONS and (name in _OF_THE_SYSTEM or name.startswith(_ELSEWHERE))
