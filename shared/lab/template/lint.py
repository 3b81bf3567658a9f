"""Lints template.yaml as CloudFormation gets it, after SAM's transformation.

cfn-lint reads a template with its conditions. Some mistakes, such as DependsOn a resource whose condition is not met,
it finds only in the transformed template. SAM may write another template for other parameters, so it transforms the
template for each value of every parameter that a condition reads. Equal results are linted once.

It also writes what security.py examines to a folder: the template as it is, and two transformed ones.
"""

import copy
import json
import logging
import os
import re
import sys
import time

import boto3
from cfnlint.api import ManualArgs, lint
from samcli.yamlhelper import yaml_parse
from samtranslator.parser.parser import Parser
from samtranslator.translator.translator import Translator

logging.disable(logging.WARNING)

# SAM copies a resource's condition to what it makes of the resource. So the condition is met wherever the resource's
# properties ask for it, and the other branch of Fn::If is unreachable.
IGNORED = ["W1028"]
# What policies name, by a part of the parameter's pattern.
ARNS = {
    ":dynamodb:": "arn:aws:dynamodb:us-east-1:123456789012:table/name/stream/2026",
    ":kms:": "arn:aws:kms:us-east-1:123456789012:key/1a2b",
}
PSEUDO = {
    "AWS::AccountId": "123456789012",
    "AWS::Partition": "aws",
    "AWS::Region": "us-east-1",
    "AWS::StackName": "esignhooks",
    "AWS::URLSuffix": "amazonaws.com",
}


def transform(source, parameters):
    """Returns the template that CloudFormation gets with these parameters."""
    template = copy.deepcopy(source)  # SAM changes it
    template["Globals"]["Function"]["CodeUri"] = "s3://bucket/key"
    values = {name: str(p["Default"]) for name, p in template["Parameters"].items()}
    values.update(PSEUDO, **parameters)
    session = boto3.Session(region_name="us-east-1")
    return Translator({}, Parser(), boto_session=session).translate(template, values)


def deployment(template):
    """Returns the logical ID of the API's deployment."""
    (found,) = [n for n, r in template["Resources"].items() if r["Type"] == "AWS::ApiGateway::Deployment"]
    return found


def read_by(conditions, name):
    """Reports whether a condition reads a parameter."""
    return '{"Ref": "%s"}' % name in json.dumps(conditions)


def choices(parameter):
    """Returns values of a parameter other than its default. SAM compares none with a pattern."""
    pattern = parameter.get("AllowedPattern", "")
    text = next((arn for service, arn in ARNS.items() if service in pattern), "192.0.2.1,198.51.100.0/24")
    allowed = parameter.get("AllowedValues", [1 if parameter["Type"] == "Number" else text])
    return [str(value) for value in allowed if value != parameter["Default"]]


def addresses(node):
    """Returns all values of aws:SourceIp in a template."""
    if isinstance(node, dict):
        return [v for k, v in node.items() if k == "aws:SourceIp"] + addresses(list(node.values()))
    return [found for child in node for found in addresses(child)] if isinstance(node, list) else []


def write(folder, source, changed):
    """Writes the template, and what it becomes with the defaults and with other parameters, as their new defaults."""
    os.makedirs(folder, exist_ok=True)
    for name, values in {"source": None, "defaults": {}, "changed": changed}.items():
        template = source if values is None else transform(source, values)
        for parameter, value in (values or {}).items():
            template["Parameters"][parameter]["Default"] = value
        with open(os.path.join(folder, name + ".json"), "w", encoding="utf-8") as file:
            json.dump(template, file)


def main(path, folder):
    with open(path, encoding="utf-8") as file:
        source = yaml_parse(file.read())
    standard, started, changed = transform(source, {}), time.time(), {}
    variants = {}
    for name, parameter in source["Parameters"].items():
        if not read_by(source["Conditions"], name):
            continue
        for value in choices(parameter):
            changed.setdefault(name, value)
            variants[f"{name}={value}"] = transform(source, {name: value})
    write(folder, source, changed)
    different = {}
    for name, template in {"defaults": standard, **variants}.items():
        # The deployment's ID and description have a hash.
        written = json.dumps(template).replace(deployment(template), "ApiDeployment")
        different.setdefault(re.sub(r"deployment id: \w+", "", written), name)
    failed = False
    for template, name in different.items():
        for match in lint(template, config=ManualArgs(regions=["us-east-1"], ignore_checks=IGNORED)):
            failed = True
            print(f"{path}, transformed with {name}: {match.rule.id} {match.message} at {match.path}")
        for listed in addresses(json.loads(template)):
            if isinstance(listed, str) and "," in listed:  # SAM writes a CommaDelimitedList like this
                failed = True
                print(f"{path}, transformed with {name}: a list of addresses is one text: {listed}")
    # A stage keeps its settings until there is another deployment. SAM's hash does not know conditions, so the hash must
    # have the time too.
    time.sleep(max(0.0, 1.1 - (time.time() - started)))
    if deployment(transform(source, {})) == deployment(standard):
        failed = True
        print(f"{path}: another sam deploy would not deploy the API")
    print(f"transformed for {1 + len(variants)} choices of parameters, linted {len(different)}")
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:]))
