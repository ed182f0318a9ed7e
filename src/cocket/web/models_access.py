"""The shapes of requests and answers about signing in, accounts, sessions and tokens."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field, SecretStr

from cocket.access.accounts import NAME_PATTERN
from cocket.core.principal import ROLES
from cocket.customs.shapes import ID_PATTERN, Id, Moment
from cocket.web.models import Time, page_of

Role = Literal[ROLES]  # type: ignore[valid-type] # a Literal of a constant tuple
AccountName = Annotated[str, Field(pattern=NAME_PATTERN, max_length=64, examples=["amina"])]
Entered = Annotated[str, Field(min_length=1, max_length=128, examples=["amina"])]
Secret = Annotated[
    SecretStr,
    Field(
        min_length=1,
        max_length=256,
        examples=["four words nobody joins"],
        json_schema_extra={"writeOnly": True},
    ),
]
Password = Annotated[
    SecretStr,
    Field(
        min_length=1,
        max_length=256,
        description="12 characters or more, nothing that guessers try first",
        examples=["four words nobody joins"],
    ),
]
LinkSecret = Annotated[
    SecretStr, Field(min_length=43, max_length=43, description="what stands behind # in the link")
]
Scope = Annotated[str, Field(pattern=r"^[a-z-]+:[a-z-]+$", max_length=64, examples=["observation:send"])]


class _Asked(BaseModel):
    model_config = ConfigDict(extra="forbid", strict=True)


class _Answer(BaseModel):
    model_config = ConfigDict(extra="forbid")


# signing in


class Ways(_Answer):
    """How to sign in here."""

    sign_in: Annotated[bool, Field(description="false: nobody has to, and nobody can")]
    signed_in: Annotated[bool, Field(description="whether whoever asks has")]
    password: Annotated[bool, Field(description="with an account of Cocket's own")]
    provider: Annotated[bool, Field(description="with the OpenID Connect provider, by GET /oidc/start")]


class NewSignIn(_Asked):
    """Name and password."""

    name: Entered
    password: Secret


class CodeGiven(_Asked):
    """The second factor."""

    code: Annotated[
        SecretStr, Field(min_length=6, max_length=40, description="six digits of the app, or a recovery code")
    ]


class SignInAnswer(_Answer):
    """What became of it; the session is in a cookie."""

    signed_in: bool
    needs: Annotated[Literal["code"] | None, Field(description="code: POST /sign-in/totp is wanted now")]
    name: str


class NewSignOut(_Asked):
    """Of this session, or of all."""

    everywhere: Annotated[bool, Field(description="end all sessions of the account")] = False


class OwnerLinkUse(_Asked):
    """The first owner, by the link that the console printed."""

    token: LinkSecret
    name: Entered
    password: Password


class AccountLinkUse(_Asked):
    """A password for an account that the owner made or reset."""

    token: LinkSecret
    password: Password


class LinkLook(_Asked):
    """A link of an account."""

    token: LinkSecret


class AccountLinkAnswer(_Answer):
    """Whose password it sets."""

    name: AccountName
    full_name: str


# one's own account


class Me(_Answer):
    """Who asks."""

    id: Annotated[str, Field(description="what stands in records as `by`", examples=["amina"])]
    kind: Literal["person", "token", "device", "authority", "nobody"]
    full_name: str
    roles: list[str]
    offices: Annotated[list[str], Field(description="empty: all")]
    holder: str | None
    authority: str | None
    scopes: Annotated[
        list[str], Field(description="of a token: the actions that it is limited to; empty: none")
    ]
    proved: Literal["session", "token", "certificate", "none"]
    second_factor: Annotated[bool, Field(description="whether this session was opened with one")]
    sign_in: bool
    provider: Annotated[str | None, Field(description="who keeps this account's password, if not Cocket")]
    has_totp: bool
    recovery_codes: Annotated[int, Field(description="unused ones")]
    needs_second_factor: Annotated[
        bool, Field(description="a role of this account counts only in sessions with a second factor")
    ]


class NewPassword(_Asked):
    """The old one and the new one."""

    old: Secret
    new: Password


class PasswordGiven(_Asked):
    """The password once more, for what matters."""

    password: Secret


class TotpAnswer(_Answer):
    """A secret for an authenticator app; shown this once."""

    secret: Annotated[str, Field(description="base32, for typing in")]
    uri: str
    qr_svg: Annotated[str, Field(description="`uri` as a picture")]


class RecoveryCodes(_Answer):
    """Each stands in for the app once. Shown this once."""

    codes: list[str]


class SessionAnswer(_Answer):
    """A session of one's own."""

    id: str
    this: Annotated[bool, Field(description="whether it is the one that asks")]
    opened_at: Time
    seen_at: Annotated[Time, Field(description="to half a minute")]
    ends_at: Time
    address: str
    agent: Annotated[str, Field(description="what the browser calls itself")]
    second_factor: bool


SessionPage = page_of(SessionAnswer, "SessionPage")


# tokens


class NewToken(_Asked):
    """A token for a program."""

    id: Annotated[
        str,
        Field(pattern=ID_PATTERN, max_length=48, description="its name in records", examples=["scanner-7"]),
    ]
    expires_at: Moment
    roles: Annotated[list[Role] | None, Field(description="null: those of the account, but `owner`")] = None
    scopes: Annotated[list[Scope], Field(max_length=100, description="actions that it is limited to")] = []
    account: Annotated[
        AccountName | None,
        Field(description="whom it acts for; null: who makes it. The owner may name another"),
    ] = None


class TokenAnswer(_Answer):
    """A token, without its secret."""

    id: str
    account: str
    roles: list[str]
    scopes: list[str]
    made_at: Time
    made_by: str
    expires_at: Time
    revoked_at: Time | None
    revoked_by: str | None
    used_at: Annotated[Time | None, Field(description="to a minute")]
    good: bool


class NewTokenAnswer(TokenAnswer):
    """A new token, with its secret, which is shown this once."""

    token: Annotated[str, Field(description="for Authorization: Bearer", examples=["ckt_…"])]


TokenPage = page_of(TokenAnswer, "TokenPage")


# accounts


class NewAccount(_Asked):
    """An account; its holder chooses the password by the link in the answer."""

    name: AccountName
    full_name: Annotated[str, Field(max_length=128)] = ""
    roles: list[Role]
    offices: Annotated[
        list[Id], Field(max_length=200, description="where somebody works; empty: everywhere")
    ] = []
    holder: Annotated[Id | None, Field(description="of a trader: whose movements (EORI, TIN)")] = None
    authority: Annotated[Id | None, Field(description="of a partner authority's people: which one")] = None


class AccountChange(_Asked):
    """What changes; the rest stays."""

    full_name: Annotated[str | None, Field(max_length=128)] = None
    roles: list[Role] | None = None
    offices: Annotated[list[Id] | None, Field(max_length=200)] = None
    holder: Id | None = None
    authority: Id | None = None
    disabled: Annotated[bool | None, Field(description="true: may not sign in; all sessions end")] = None


class Reset(_Asked):
    """What is taken away."""

    second_factor: Annotated[
        bool,
        Field(
            description="the second factor, too: its holder has lost it. Else it is asked for behind the link"
        ),
    ] = True


class AccountAnswer(_Answer):
    """An account."""

    name: str
    full_name: str
    roles: list[str]
    offices: list[str]
    holder: str | None
    authority: str | None
    disabled: bool
    provider: str | None
    has_password: bool
    has_totp: bool
    made_at: Time
    made_by: str
    changed_at: Time
    changed_by: str
    seen_at: Annotated[Time | None, Field(description="when a session of it was used last, if one is kept")]


class NewAccountAnswer(AccountAnswer):
    """An account, and the link with which its holder chooses a password. Shown this once; good for a week."""

    link: Annotated[
        str, Field(description="a page of the control room; hand it over in person or by a safe way")
    ]


AccountPage = page_of(AccountAnswer, "AccountPage")

REQUESTS: tuple[type[BaseModel], ...] = (
    NewSignIn,
    CodeGiven,
    NewSignOut,
    OwnerLinkUse,
    AccountLinkUse,
    LinkLook,
    NewPassword,
    PasswordGiven,
    NewToken,
    NewAccount,
    AccountChange,
    Reset,
)
