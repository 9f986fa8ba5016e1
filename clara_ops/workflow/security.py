"""The security context of a stage's container: the restricted one, and what a catalogue entry relaxes of it."""

from typing import Annotated, Any, Literal, Self

from pydantic import Field, StrictBool, StrictInt, StrictStr, model_validator

from clara_ops.workflow.schema import FileModel

UserId = Annotated[StrictInt, Field(ge=0)]
_SYS_ADMIN = "SYS_ADMIN"


class Capabilities(FileModel):
    """Linux capabilities, without `CAP_` in front."""

    add: tuple[StrictStr, ...] = ()
    drop: tuple[StrictStr, ...] = ("ALL",)


class Profile(FileModel):
    """A seccomp or AppArmor profile."""

    type: Literal["RuntimeDefault", "Localhost", "Unconfined"]
    localhost_profile: StrictStr | None = None

    @model_validator(mode="after")
    def _check(self) -> Self:
        if (self.type == "Localhost") != (self.localhost_profile is not None):
            raise ValueError("'localhostProfile' goes with 'type: Localhost', and only with it")
        return self


class SELinuxOptions(FileModel):
    """SELinux context of the container."""

    level: StrictStr | None = None
    role: StrictStr | None = None
    type: StrictStr | None = None
    user: StrictStr | None = None


class SecurityContext(FileModel):
    """What a catalogue entry changes of the restricted security context, for a foreign image.

    Attributes:
        read_only_root_filesystem: false lets the container write to its own file system.
        run_as_user: user that the image insists on; 0 needs `runAsNonRoot: false` too.
        capabilities: `add` is added to none; all others stay dropped unless `drop` says otherwise.
    """

    allow_privilege_escalation: StrictBool = False
    app_armor_profile: Profile | None = None
    capabilities: Capabilities = Capabilities()
    privileged: StrictBool = False
    proc_mount: Literal["Default", "Unmasked"] | None = None
    read_only_root_filesystem: StrictBool = True
    run_as_group: UserId | None = None
    run_as_non_root: StrictBool | None = None
    run_as_user: UserId | None = None
    se_linux_options: SELinuxOptions | None = None
    seccomp_profile: Profile | None = None

    @model_validator(mode="after")
    def _check(self) -> Self:
        if self.run_as_user == 0 and self.run_as_non_root is not False:
            raise ValueError("'runAsUser: 0' is root, which the pod does not allow; add 'runAsNonRoot: false'")
        if self.privileged and not self.allow_privilege_escalation:
            raise ValueError("'privileged: true' needs 'allowPrivilegeEscalation: true'; Kubernetes refuses it without")
        added = {name.removeprefix("CAP_") for name in self.capabilities.add}
        if _SYS_ADMIN in added and not self.allow_privilege_escalation:
            raise ValueError(f"{_SYS_ADMIN} needs 'allowPrivilegeEscalation: true'; Kubernetes refuses it without")
        return self

    def as_pod_data(self) -> dict[str, Any]:
        """The container's security context as core/v1 has it."""
        context = self.model_dump(by_alias=True, exclude_none=True, exclude={"privileged", "capabilities"})
        capabilities = {"drop": list(self.capabilities.drop)}
        if self.capabilities.add:
            capabilities["add"] = list(self.capabilities.add)
        return {**context, "capabilities": capabilities, **({"privileged": True} if self.privileged else {})}
