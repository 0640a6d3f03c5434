# A booted NixOS with an engine: the units run, and what they say when the outside cannot be reached is as documented.
# A virtual machine of a check has no network, so the keycloak recipe cannot be cloned: converging is infrastructure (3).
self: {
  name = "warmci";

  nodes.machine =
    { lib, ... }:
    {
      imports = [
        self.nixosModules.default
        ../hosts/example.nix
      ];
      virtualisation.memorySize = 2048;
      services.warmci.credentials = lib.mkForce { alert_webhook = "/etc/webhook"; };
      environment.etc.webhook.text = "http://127.0.0.1:9/";
      systemd.services.docker-swarm-init.script = lib.mkForce "docker swarm init --advertise-addr eth1";
    };

  testScript = ''
    machine.wait_for_unit("docker-swarm-init.service")
    machine.succeed("(warmci doctor --json || true) | grep -q 'swarm manager'")
    machine.succeed("stat -c %a /var/lib/ci-warm | grep -qx 700")

    with subtest("no network: the unit fails with the code for infrastructure, and the alert stands"):
        machine.wait_until_succeeds("systemctl is-failed warmci-keycloak.service")
        machine.succeed("systemctl show -P ExecMainStatus warmci-keycloak.service | grep -qx 3")
        machine.wait_until_succeeds("grep -q warmci-keycloak /var/lib/ci-warm/.alerts/warmci-keycloak.json")

    with subtest("a missing credential is named by systemd"):
        machine.succeed("rm /etc/webhook")
        machine.fail("systemctl start warmci-sweep.service")
        machine.succeed("systemctl show -P ExecMainStatus warmci-sweep.service | grep -qx 243")

    with subtest("the timer waits for the night"):
        machine.succeed("systemctl show -P NextElapseUSecRealtime warmci-sweep.timer | grep -q ' 03:'")
  '';
}
