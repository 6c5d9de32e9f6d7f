# Functions that the setup comments of pages call. Each begins in the project's folder.

customers_repository() { # one customer in YAML, the bundles of two days, an empty store
    export PATH="$PWD/.venv/bin:$PATH"
    mkdir -p ../my-schools/customers/springfield
    cp .demo/day-*.zip ../my-schools
    cd ../my-schools
    cat >customers/springfield/customer.yaml <<'YAML'
kind: customer
id: springfield
name: Springfield Unified School District
administrators:
  - {given_name: Seymour, family_name: Skinner, email: seymour@springfield.example, username: seymour, role: admin}
address: {street: [19 Plympton Street], city: Springfield, region: OR, postal_code: "97477", country: US}
agreements: {privacy_policy: 2026-08-01, terms_of_service: 2026-08-01}
rostering:
  type: oneroster
  client_partner_id: org-springfield
  match_with: identifier
  sync: {type: zip}
YAML
}

first_day_applied() { # the roster of the first day is in the store
    customers_repository
    reconciler apply springfield --zip day-1.zip --yes
}

roster() { # a bundle in which something is missing or wrong
    python -m tests.support.pages.rosters "$@"
}

two_servers() { # shelbyville's roster is on an SFTP server, ogdenville's behind an API, both on this machine
    export PATH="$PWD/.venv/bin:$PATH"
    python -m tests.support.pages.servers >/dev/null 2>&1 &
    until [ -e .demo/here/ready ]; do sleep 0.1; done
    cp -r .demo/here ../my-schools
    cp -r .demo/secrets ../my-schools/
    cd ../my-schools
    sed -i 's|store: .*|store: sqlite:///.reconciler/store.db|; s|path: ../secrets|path: secrets|; s|demo:|production:|' reconciler.yaml
    outgoing=../reconciler/.demo/sftp/out
}
