// grpc.reflection.v1 and v1alpha: the schema of the services given, and of nothing else, so that no other listener's
// leak. It must not know what the services do.

import { type DescFile, type DescService, toBinary } from '@bufbuild/protobuf';
import { nestedTypes } from '@bufbuild/protobuf/reflect';
import { FileDescriptorProtoSchema } from '@bufbuild/protobuf/wkt';
import { Code, type ConnectRouter } from '@connectrpc/connect';
import { type ServerReflectionRequest, ServerReflection as V1 } from '../../gen/grpc/reflection/v1/reflection_pb.ts';
import {
  ServerReflection as V1Alpha,
  type ServerReflectionRequest as V1AlphaRequest,
} from '../../gen/grpc/reflection/v1alpha/reflection_pb.ts';

type Question = ServerReflectionRequest['messageRequest'] | V1AlphaRequest['messageRequest'];

/** Registers both versions of reflection, over `services` and the types that they need. */
export function reflectionRoutes(services: readonly DescService[]): (router: ConnectRouter) => void {
  const listed = [...services, V1, V1Alpha];
  const schema = indexSchema(listed);

  /** One stream's questions. A file's dependencies are sent once a stream, as the protocol allows. */
  function answerer() {
    const sent = new Set<DescFile>();
    const files = (file: DescFile | undefined, what: string) => {
      if (file === undefined) return notFound(what);
      const closure = [file, ...dependencies(file).filter((dependency) => !sent.has(dependency))];
      for (const each of closure) sent.add(each);
      const fileDescriptorProto = closure.map((each) => toBinary(FileDescriptorProtoSchema, each.proto));
      return { case: 'fileDescriptorResponse' as const, value: { fileDescriptorProto } };
    };
    return (question: Question) => {
      switch (question.case) {
        case 'listServices': {
          const service = listed.map(({ typeName }) => ({ name: typeName }));
          return { case: 'listServicesResponse' as const, value: { service } };
        }
        case 'fileByFilename':
          return files(schema.byName.get(question.value), `file ${question.value}`);
        case 'fileContainingSymbol':
          return files(schema.bySymbol.get(question.value), `symbol ${question.value}`);
        case 'fileContainingExtension': {
          const { containingType, extensionNumber } = question.value;
          const file = schema.extensions.get(containingType)?.get(extensionNumber);
          return files(file, `extension ${extensionNumber} of ${containingType}`);
        }
        case 'allExtensionNumbersOfType': {
          if (!schema.bySymbol.has(question.value)) return notFound(`type ${question.value}`);
          const extensionNumber = [...(schema.extensions.get(question.value)?.keys() ?? [])];
          return {
            case: 'allExtensionNumbersResponse' as const,
            value: { baseTypeName: question.value, extensionNumber },
          };
        }
        case undefined:
          return failed(Code.InvalidArgument, 'no question that this version of reflection knows');
      }
    };
  }

  async function* answers<R extends { readonly host: string; readonly messageRequest: Question }>(
    requests: AsyncIterable<R>,
  ) {
    const answer = answerer();
    for await (const request of requests) {
      yield {
        validHost: request.host,
        originalRequest: request,
        messageResponse: answer(request.messageRequest),
      };
    }
  }

  return (router) => {
    router.service(V1, { serverReflectionInfo: answers });
    router.service(V1Alpha, { serverReflectionInfo: answers });
  };
}

function notFound(what: string) {
  return failed(Code.NotFound, `${what} not found`);
}

function failed(errorCode: Code, errorMessage: string) {
  return { case: 'errorResponse' as const, value: { errorCode, errorMessage } };
}

/** Every file below `file`, each once. */
function dependencies(file: DescFile, found = new Set<DescFile>()): DescFile[] {
  for (const dependency of file.dependencies) {
    if (found.has(dependency)) continue;
    found.add(dependency);
    dependencies(dependency, found);
  }
  return [...found];
}

function indexSchema(services: readonly DescService[]) {
  const byName = new Map<string, DescFile>();
  const bySymbol = new Map<string, DescFile>();
  const extensions = new Map<string, Map<number, DescFile>>();
  const files = new Set(services.flatMap(({ file }) => [file, ...dependencies(file)]));
  for (const file of files) {
    byName.set(file.proto.name, file);
    for (const type of nestedTypes(file)) {
      if (type.kind === 'service' && !services.includes(type)) continue;
      bySymbol.set(type.typeName, file);
      switch (type.kind) {
        case 'service':
          for (const method of type.methods) bySymbol.set(`${type.typeName}.${method.name}`, file);
          break;
        case 'message':
          for (const member of type.members) bySymbol.set(`${type.typeName}.${member.name}`, file);
          break;
        case 'enum': {
          // protobuf scopes an enum's values beside the enum, not below it.
          const scope = type.typeName.slice(0, type.typeName.length - type.name.length);
          for (const value of type.values) bySymbol.set(scope + value.name, file);
          break;
        }
        case 'extension': {
          const numbers = extensions.get(type.extendee.typeName) ?? new Map<number, DescFile>();
          extensions.set(type.extendee.typeName, numbers.set(type.number, file));
          break;
        }
      }
    }
  }
  return { byName, bySymbol, extensions };
}
