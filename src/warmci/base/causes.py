"""Kinds of cause of a run that is not green: what each is called, how it is recognised, what helps.

The order counts: of a line the first that fits (cause_of.py).
"""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Kind:
    name: str
    said: str
    """Regular expression of the telling words, in any case.

    Bounded (`.{0,200}`): a stranger's line of 64 KiB that begins what it does not end would cost a minute of `.*`.
    """
    help: str
    in_log: bool = True
    """Whether these words tell enough in a log, too; else only in the error."""


CATALOGUE = (
    Kind("missing image", r"no such image|image is gone", "correct the image's name or tag, or push it", in_log=False),
    Kind(
        "registry in trouble",
        r"cannot be pulled from|images are not pulled after",
        "not the recipe's fault: look after the registry or the login, then retry",
        in_log=False,
    ),
    Kind("refused", r"^refused: ", "leave it out, or have the operator allow it (docs/security.md)", in_log=False),
    Kind(
        "recipe's files",
        r"^(?:\S*compose\S*\.ya?ml|compose file|\.env\.sample\S*|abra\.sh|(?:configs|secrets)\.\S+): "
        r"|^services\.\S+ has no image",
        "correct the file that is named; docker stack config reads it the same way",
        in_log=False,
    ),
    Kind(
        "no node",
        r"no suitable node|no node can run|range of cpus is from|could not select device driver"
        r"|unknown or invalid runtime",
        "the swarm has no node with these resources or labels; reserve less, or test where there is one",
        in_log=False,
    ),
    Kind(
        "out of memory",
        r"\(OOM\)|java\.lang\.OutOfMemoryError|heap out of memory|cannot allocate memory",
        "raise deploy.resources.limits.memory, or make the app need less",
    ),
    Kind(
        "disk full in the app",
        r"no space left on device|disk quota exceeded|ENOSPC",
        "the app filled its tmpfs or volume: raise its size, or write less",
    ),
    Kind(
        "listener on loopback",
        r"listens on loopback only",
        "let the app listen on 0.0.0.0: the proxy comes from outside its container",
        in_log=False,
    ),
    Kind(
        "wrong port",
        r"nothing listens on port \d+",
        "make loadbalancer.server.port the port that the app listens on",
        in_log=False,
    ),
    Kind(
        "unbumped config",
        r"only updates to Labels are allowed",
        "a config's content changed under the same name: bump its version in abra.sh",
    ),
    Kind(
        "missing secret",
        r"secret not found|undefined secret|secret \S+ (?:is )?(?:missing|not found|not set)"
        r"|/run/secrets/.{1,200}(?:no such file|not found)"
        r"|(?:no such file|cannot open|can't open).{0,200}/run/secrets/",
        "name the secret under the service's secrets, with its version in .env.sample",
    ),
    Kind(
        "missing variable",
        r"\b[A-Z][A-Z0-9]*_[A-Z0-9_]+\b[\"'`]?,? (?:is |was |has )?(?:not |un)(?:been )?(?:set|defined|provided|given)"
        r"|\b[A-Z][A-Z0-9]*_[A-Z0-9_]+\b[\"'`]? (?:is |must be )(?:required|missing|empty|set)"
        r"|(?:missing|required|unset).{0,40}\benv(?:ironment)?\b|unbound variable|parameter not set",
        "set it in the compose file or in .env.sample; an upgrade keeps the old .env, so a new one needs a default",
    ),
    Kind(
        "login refused by the database",
        r"password authentication failed|access denied for user|WRONGPASS|NOAUTH",
        "a database keeps the password that it was made with: the same secret before and after",
    ),
    Kind(
        "name not resolved",
        r"could not resolve|could not translate host name|name or service not known|\bENOTFOUND\b|EAI_AGAIN|bad address"
        r"|temporary failure in name resolution|no address associated",
        "is that service in the recipe, under this name, on a network that both share?",
    ),
    Kind(
        "other service not reached",
        r"^(?!.{0,2000}health check \(exit).{0,2000}"  # which asks the app itself
        r"(?:ECONNREFUSED|connection refused|could not connect to|no route to host)",
        "is that service up, and does the app wait for it? swarm has no depends_on",
        in_log=False,
    ),
    Kind(
        "program not found",
        r"executable file not found|exec format error|: not found$|exec: .{0,200}no such file|command not found"
        r"|non-zero exit \(127\)",
        "the image has no such program: look at command and entrypoint",
    ),
    Kind(
        "module not found",
        r"cannot find module|no module named|ModuleNotFoundError|ClassNotFoundException|NoClassDefFoundError"
        r"|error while loading shared libraries|cannot load such file|class \S+ not found",
        "the image lacks a part of the app: is it the right tag, built whole, for this platform?",
    ),
    Kind(
        "no such user",
        r"unable to find user|no matching entries in (?:passwd|group) file|getpwnam\S* failed|unknown user",
        "name a user that the image has, or its number",
    ),
    Kind(
        "port in use",
        r"address already in use|EADDRINUSE|bind: cannot assign requested address|\bbind\(\).{0,200}failed",
        "two processes of one container want this port, or the address is none of the container's",
    ),
    Kind(
        "permission denied",
        r"permission denied|EACCES|operation not permitted|read-only file system|non-zero exit \(126\)",
        "which user does the app run as, and who owns what it writes to?",
    ),
    Kind(
        "certificate not trusted",
        r"certificate verify failed|x509: |unable to get local issuer|self[- ]signed certificate|SSLHandshakeException",
        "let the app trust that CA, or name the service by the host that its certificate is for",
    ),
    Kind(
        "file not found",
        r"FileNotFoundError|NoSuchFileException|no such file or directory|ENOENT\b|(?:cannot|can't) open",
        "is it in the image, or in a config or volume that is mounted where the app looks?",
    ),
    Kind(
        "migration failed",
        r"migrat\w{0,20} .{0,200}(?:fail|error)|(?:fail|error)\w{0,20} .{0,200}migrat|\[Migration"
        r"|(?:relation|column|table) \S+ (?:does not|already)",
        "try it on data of the older version, with that version's schema",
    ),
    Kind(
        "configuration not understood",
        r"unknown directive|invalid (?:configuration|config|option|parameter|value)\b|syntax error|parse error"
        r"|(?:unknown|unrecognized|illegal|invalid) (?:option|flag|argument|command)|flag provided but not defined"
        r"|unmarshal|(?:yaml|toml|json): |unknown (?:key|field|setting)",
        "compare the file or the arguments with what this version of the app reads",
    ),
    Kind(
        "data lost",
        r"before the upgrade is gone|the upgrade lost data|no longer shows volume",
        "what an upgrade must keep belongs into a named volume that stays where it is",
        in_log=False,
    ),
    Kind(
        "never healthy",
        r"health check \(exit|unhealthy container",
        "run the health check's command in the container; is its start_period long enough?",
    ),
    Kind(
        "crash in native code",
        r"segmentation fault|core dumped|SIGSEGV|SIGABRT|SIGILL|illegal instruction"
        r"|non-zero exit \((?:132|134|135|136|139)\)",
        "a signal ended it: is the image built for this processor, and are its libraries of one version?",
    ),
    Kind(
        "killed",
        r"non-zero exit \(137\)",
        "SIGKILL from outside: the host's memory, mostly (dmesg), or a stop_grace_period that is too short",
        in_log=False,
    ),
    Kind(
        "ends by itself",
        r"ends by itself again and again",
        "a service must stay; what is to run once needs restart_policy.condition: none, or a job",
        in_log=False,
    ),
    Kind(
        "not accepted by swarm",
        r"swarm refuses the stack|swarm rejects the tasks|invalid mount target|working directory .* is invalid"
        r"|is published by \S+ and by",
        "the engine's own words say which option of the service it does not take",
        in_log=False,
    ),
    Kind(
        "answers with an error",
        r"does not serve after .*last: HTTP [45]\d\d(?!: (?:no|the) task)",
        "the app's log may say why; where another page tells that it is well, name it: health_path in recipe.toml",
        in_log=False,
    ),
    Kind(
        "answers nothing",
        r"does not serve after .*last: (?:\w*Timeout|\w*Error|HTTP 50\d: (?:no|the) task)",
        "it takes connections, and gives no answer that is HTTP: is it the right port, the right scheme?",
        in_log=False,
    ),
    Kind(
        "late fault",
        r"though it had converged",
        "it came up and died: the last lines say why; does something it needs come later?",
        in_log=False,
    ),
    Kind(
        "crash loop",
        r"crash-loops|its new task ended|non-zero exit|not started again by its restart policy",
        "the task's last lines say why",
        in_log=False,
    ),
    Kind(
        "too slow",
        r"did not converge within",
        "raise deploy_timeout_s if the app only needs longer",
        in_log=False,
    ),
)

HOW = frozenset(
    {
        "answers nothing",
        "answers with an error",
        "crash loop",
        "ends by itself",
        "killed",
        "late fault",
        "never healthy",
        "too slow",
    }
)
"""Kinds that only say how it showed."""
