"""Examines the template with checkov and parliament: what deployments hold, and who may do what.

Both read plain values only, so the templates that lint.py writes are resolved first: conditions, references and ARNs.
checkov also sees the template as it is, because others run it like that. Findings that are accepted are on a list, each
with its reason: .checkov.yaml, the template's Metadata, and ACCEPTED. An entry that accepts nothing fails the check.
"""

import glob
import json
import os
import re
import subprocess
import sys
import tempfile

from parliament import analyze_policy_string

# Findings about policies.
#
# SPEC: https://docs.aws.amazon.com/sns/latest/dg/sns-key-management.html: a key policy cannot name the source of a call
# by EventBridge. Whether it can for alarms is not documented, and an alarm that cannot use the key notifies nobody.
# https://docs.aws.amazon.com/AmazonCloudWatch/latest/logs/encrypt-log-data-kms.html has the statement for logs.
ACCEPTED = {
    "CONFUSED_DEPUTY cloudwatch.amazonaws.com kms:Decrypt": "the topic's own policy admits the alarms",
    "CONFUSED_DEPUTY cloudwatch.amazonaws.com kms:GenerateDataKey*": "the topic's own policy admits the alarms",
    "CONFUSED_DEPUTY events.amazonaws.com kms:Decrypt": "the policy of the queues admits one rule",
    "CONFUSED_DEPUTY events.amazonaws.com kms:GenerateDataKey": "the policy of the queues admits one rule",
    "MISMATCHED_TYPE Type mismatch: ArnLike requires a value of type Arn but given String": "the statement for logs",
    "PUBLIC execute-api:Invoke": "vendors have no AWS account; the functions verify each request",
    "RESOURCE_MISMATCH dynamodb:ListStreams": "Lambda asks for it on the stream that an event source mapping reads",
    "UNKNOWN_CONDITION_FOR_ACTION Unknown condition kms:EncryptionContext:aws:logs:arn for action kms:DescribeKey":
        "the statement for logs",
}

# SPEC: https://docs.aws.amazon.com/service-authorization/latest/reference/reference_policies_actions-resources-
# contextkeys.html: the ARNs of what a policy may name, by the type of the resource and the attribute.
ARNS = {
    "AWS::DynamoDB::Table Arn": "dynamodb:us-east-1:123456789012:table/{}",
    "AWS::DynamoDB::Table StreamArn": "dynamodb:us-east-1:123456789012:table/{}/stream/2026",
    "AWS::Events::EventBus Arn": "events:us-east-1:123456789012:event-bus/{}",
    "AWS::Events::Rule Arn": "events:us-east-1:123456789012:rule/{}",
    "AWS::Logs::LogGroup Arn": "logs:us-east-1:123456789012:log-group:{}:*",
    "AWS::S3::Bucket Arn": "s3:::{}",
    "AWS::SQS::Queue Arn": "sqs:us-east-1:123456789012:{}",
    "AWS::SecretsManager::Secret Ref": "secretsmanager:us-east-1:123456789012:secret:{}-AbCdEf",
}
PSEUDO = {
    "AWS::AccountId": "123456789012",
    "AWS::Partition": "aws",
    "AWS::Region": "us-east-1",
    "AWS::StackName": "esignhooks",
    "AWS::URLSuffix": "amazonaws.com",
}


class Stack:
    """What CloudFormation makes of a transformed template with the defaults of its parameters."""

    def __init__(self, template):
        self.conditions = template.get("Conditions", {})
        self.values = {name: str(p["Default"]) for name, p in template["Parameters"].items()} | PSEUDO
        made = {n: r for n, r in template["Resources"].items() if "Condition" not in r or self.met(r["Condition"])}
        self.types = {name: r["Type"] for name, r in made.items()}
        self.resources = {
            name: {"Type": r["Type"], "Properties": self.resolved(r.get("Properties", {}))} for name, r in made.items()
        }

    def met(self, node):
        if isinstance(node, str):
            return self.met(self.conditions[node])
        ((function, of),) = node.items()
        if function == "Condition":
            return self.met(of)
        if function == "Fn::Equals":
            left, right = (str(self.resolved(one)) for one in of)
            return left == right
        met = [self.met(one) for one in of]
        return {"Fn::And": all(met), "Fn::Or": any(met), "Fn::Not": not met[0]}[function]

    def attribute(self, name, attribute):
        arn = ARNS.get(f"{self.types.get(name)} {attribute}")
        return "arn:aws:" + arn.format(name) if arn else f"{name}.{attribute}".removesuffix(".Ref")

    def named(self, name):
        if name in self.values:
            return self.values[name]
        return self.attribute(*name.split(".", 1)) if "." in name else self.attribute(name, "Ref")

    def resolved(self, node):
        """Returns a node without functions, and None for AWS::NoValue."""
        if isinstance(node, list):
            return [one for one in map(self.resolved, node) if one is not None]
        if not isinstance(node, dict):
            return node
        if len(node) == 1:
            ((function, of),) = node.items()
            if function == "Ref":
                return None if of == "AWS::NoValue" else self.named(of)
            if function == "Fn::If":
                return self.resolved(of[1] if self.met(of[0]) else of[2])
            if function == "Fn::GetAtt":
                return self.named(of if isinstance(of, str) else ".".join(of))
            if function == "Fn::Split":
                return str(self.resolved(of[1])).split(of[0])
            if function == "Fn::Select":
                return self.resolved(of[1])[int(of[0])]
            if function == "Fn::Sub":
                text, own = of if isinstance(of, list) else (of, {})
                own = self.resolved(own)
                return re.sub(
                    r"\$\{([\w:.]+)\}", lambda m: str(own[m[1]] if m[1] in own else self.named(m[1])), text
                )
        made = {name: self.resolved(member) for name, member in node.items()}
        return {name: member for name, member in made.items() if member is not None}


def checkov(templates):
    """Returns what checkov finds without any list: pairs of a check and a resource, by template."""
    with tempfile.TemporaryDirectory() as folder:  # where no .checkov.yaml is
        for name, template in templates.items():
            with open(os.path.join(folder, name + ".json"), "w", encoding="utf-8") as file:
                json.dump(template, file)
        command = [os.path.join(os.path.dirname(sys.executable), "checkov"), "--directory", folder, "--framework"]
        command += ["cloudformation", "--skip-download", "--quiet", "--compact", "--output", "json"]
        ran = subprocess.run(command, cwd=folder, capture_output=True, text=True, check=False)
    try:
        report = json.loads(ran.stdout)
        counted, found = report["summary"], report["results"]["failed_checks"]
    except (ValueError, KeyError, TypeError):
        sys.exit(f"checkov: {ran.stdout}{ran.stderr}")
    resources = sum(len(template["Resources"]) for template in templates.values())
    if counted["parsing_errors"] or counted["resource_count"] != resources:
        sys.exit(f"checkov did not examine {resources} resources: {counted}")
    by = {name: set() for name in templates}
    for one in found:
        name = os.path.basename(one["file_path"]).removesuffix(".json")
        by[name].add((one["check_id"] + " " + one["check_name"], one["resource"].split(".")[1]))
    return by


def skipped(path):
    """Returns the checks on checkov's list. Each has its reason in a comment in the same line."""
    with open(path, encoding="utf-8") as file:
        listed = [line for line in file if "CKV" in line]
    entries = [re.fullmatch(r"  - (CKV2?_\w+) # \S.{20,}\n", line) for line in listed]
    if None in entries:
        sys.exit(f"{path}: without a reason: {listed[entries.index(None)]}")
    return {entry[1] for entry in entries}


def policies(stack):
    """Yields the policies of a stack's resources, and the functions' permissions as policies."""
    for name, r in stack.resources.items():
        of = r["Properties"]
        if r["Type"] == "AWS::Lambda::Permission":
            limits = {"aws:" + key: of[key] for key in ("SourceArn", "SourceAccount") if key in of}
            statement = {"Effect": "Allow", "Action": of["Action"], "Principal": {"Service": of["Principal"]}}
            statement |= {"Resource": "arn:aws:lambda:us-east-1:123456789012:function:" + of["FunctionName"]}
            yield name, {"Version": "2012-10-17", "Statement": [statement | {"Condition": {"ArnLike": limits}}]}
        elif r["Type"] == "AWS::ApiGateway::RestApi":
            policy = json.dumps(of["Body"]["x-amazon-apigateway-policy"])
            yield name, json.loads(policy.replace("execute-api:/", "arn:aws:execute-api:us-east-1:123456789012:api/"))
        for policy in of.get("Policies", []) + [of] if "Assume" not in r["Type"] else []:
            if "PolicyDocument" in policy:
                yield name, policy["PolicyDocument"]


def texts(value):
    return value if isinstance(value, list) else [value]


def problems(policy):
    """Yields what is wrong with a policy, as keys of ACCEPTED. In the policy of a key, * is that key."""
    of_key = all("Principal" in s and "kms:" in json.dumps(s["Action"]) for s in policy["Statement"])
    text = json.dumps(policy).replace('"Null":', '"StringLike":')  # parliament does not examine the keys of Null
    for found in analyze_policy_string(text, "").findings:
        for detail in texts(found.detail) if found.issue != "RESOURCE_STAR" or not of_key else []:
            yield f"{found.issue} {detail['action'] if isinstance(detail, dict) else detail}"
    for statement in policy["Statement"]:
        principal = statement.get("Principal", {})
        keys = " ".join(key for of in statement.get("Condition", {}).values() for key in of)
        for action in texts(statement["Action"]) if statement["Effect"] == "Allow" else []:
            if principal in ("*", {"AWS": "*"}):
                yield f"PUBLIC {action}"
            elif "Service" in principal and not re.search(r"aws:Source(Arn|Account)|kms:EncryptionContext", keys):
                yield f"CONFUSED_DEPUTY {principal['Service']} {action}"


def documented(folder):
    """Yields the policies that pages show."""
    for page in sorted(glob.glob(os.path.join(folder, "*.md"))):
        with open(page, encoding="utf-8") as file:
            for block in re.findall(r"```json\n(.*?)```", file.read(), re.S):
                if '"Statement"' in block:
                    secret = "arn:aws:secretsmanager:us-east-1:123456789012:secret:name-AbCdEf"
                    yield page, json.loads(block.replace("<Vendor>Secret, of each vendor", secret))


def main(folder, listed, pages):
    templates = {}
    for name in ("source", "defaults", "changed"):
        with open(os.path.join(folder, name + ".json"), encoding="utf-8") as file:
            templates[name] = json.load(file)
    own = {}  # the template's own list, which is for others: the resolved templates need none
    for name, r in templates["source"]["Resources"].items():
        own |= {(s["id"], name): s["comment"] for s in r.get("Metadata", {}).pop("checkov", {}).get("skip", [])}
    stacks = [Stack(templates[name]) for name in ("defaults", "changed")]
    for name, stack in zip(("defaults", "changed"), stacks):
        templates[name] = {"AWSTemplateFormatVersion": "2010-09-09", "Resources": stack.resources}
    skips, used, failed = skipped(listed), set(), []
    for name, found in checkov(templates).items():
        for check, resource in sorted(found):
            number = check.split()[0]
            if number in skips:
                used.add(number)
            elif name == "source" and (number, resource) in own:
                used.add((number, resource))
            else:
                failed.append(f"checkov, {name}: {resource}: {check}")
    checked = [one for stack in stacks for one in policies(stack)] + list(documented(pages))
    for where, policy in checked:
        for problem in problems(policy):
            used.add(problem)
            if problem not in ACCEPTED:
                failed.append(f"{where}: {problem}")
    unused = (skips | own.keys() | ACCEPTED.keys()) - used
    failed += [f"nothing is found that {one} accepts" for one in sorted(unused, key=str)]
    print("\n".join(dict.fromkeys(failed)) or f"checkov and parliament: {len(checked)} policies", flush=True)
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:]))
